"""A stored key goes to the origin that it was stored for, and to no other."""

from __future__ import annotations

import pytest
from django.test import Client

from providers import addresses, edits
from providers.models import Provider
from providers.seeding.apply import apply
from providers.seeding.environment import Group
from providers.seeding.overlay import overlaid
from providers.seeding.wanted import Wanted
from tests.providers.admin_pages import UPSTREAM_KEY, page, provider, said, values
from tests.providers.api_client import MASTER, PROVIDERS, Api, master_key

pytestmark = pytest.mark.django_db
HELD = "http://gpu-1:8000/v1"
OTHERS = ("https://gpu-1:8000", "http://gpu-2:8000", "http://gpu-1:8001", "http://gpu-1.evil:8000")
SAME = ("http://gpu-1:8000", "http://GPU-1:8000/v1", "http://gpu-1:8000/prefix")


def key() -> str:
    return Provider.objects.get().api_key


@pytest.mark.parametrize("url", OTHERS)
def test_a_patch_of_the_origin_leaves_the_key_behind_and_says_so(url: str) -> None:
    master_key()
    provider(key=UPSTREAM_KEY)
    answer = Api(MASTER).patch(f"{PROVIDERS}/vllm", {"base_url": url}).json()

    assert key() == ""
    assert not answer["has_api_key"]
    assert edits.KEY_STAYS_BEHIND in answer["warnings"]


@pytest.mark.parametrize("url", OTHERS)
def test_a_key_that_is_given_again_goes_along(url: str, admin_client: Client) -> None:
    master_key()
    provider(key=UPSTREAM_KEY)
    sent = {"base_url": url, "api_key": UPSTREAM_KEY}
    answer = Api(MASTER).patch(f"{PROVIDERS}/vllm", sent).json()

    assert key() == UPSTREAM_KEY
    assert answer["warnings"] == []


@pytest.mark.parametrize("url", SAME)
def test_the_same_origin_keeps_the_key(url: str) -> None:
    master_key()
    provider(key=UPSTREAM_KEY)
    answer = Api(MASTER).patch(f"{PROVIDERS}/vllm", {"base_url": url}).json()

    assert key() == UPSTREAM_KEY
    assert answer["warnings"] == []


@pytest.mark.parametrize("url", OTHERS)
@pytest.mark.parametrize("typed", ["", UPSTREAM_KEY])
def test_the_form_does_the_same(admin_client: Client, url: str, typed: str) -> None:
    row = provider(key=UPSTREAM_KEY)
    form = admin_client.get(page(row)).context["adminform"].form
    sent = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    sent |= values(base_url=url, new_api_key=typed)
    answer = admin_client.post(page(row), sent, follow=True)

    assert Provider.objects.get().base_url == addresses.normalised(url)
    assert key() == typed
    assert (edits.KEY_STAYS_BEHIND in said(answer)) == (typed == "")


def test_a_clone_that_is_moved_loses_the_key() -> None:
    master_key()
    provider(key=UPSTREAM_KEY)
    api = Api(MASTER)
    api.post(f"{PROVIDERS}/vllm/clone", {"name": "copy"})
    api.patch(f"{PROVIDERS}/copy", {"base_url": OTHERS[1]})

    assert Provider.objects.get(name="copy").api_key == ""
    assert Provider.objects.get(name="vllm").api_key == UPSTREAM_KEY


def test_the_files_key_does_not_follow_the_environments_address() -> None:
    listed = Wanted(
        "vllm",
        "yaml",
        base_url=HELD,
        api_key="of the file",
        said_by=dict.fromkeys(("base_url", "api_key"), "yaml"),
    )
    moved = Group("vllm", ("VLLM_BASE_URL",), {"base_url": OTHERS[1]})
    [wanted], problems = overlaid([moved], [listed])

    assert (wanted.base_url, wanted.api_key, problems) == (OTHERS[1], "", [])
    assert "api_key" not in wanted.said_by


def test_a_key_alone_is_for_whichever_address_is_named() -> None:
    listed = Wanted("vllm", "yaml", base_url=HELD, said_by={"base_url": "yaml"})
    keyed = Group("vllm", ("VLLM_API_KEY",), {"api_key": "of the environment"})
    [wanted], _ = overlaid([keyed], [listed])

    assert (wanted.base_url, wanted.api_key) == (HELD, "of the environment")


def test_the_key_of_a_silent_source_does_not_follow_anothers_address() -> None:
    both = {"base_url": "yaml", "api_key": "env"}
    apply([Wanted("vllm", "env", base_url=HELD, api_key="of the environment", said_by=both)])
    apply([Wanted("vllm", "yaml", base_url=OTHERS[1], said_by={"base_url": "yaml"})])

    assert key() == ""
