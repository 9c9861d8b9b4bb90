"""What a source, a server or a client does not say is no wish: nothing is removed, and nothing comes
back under an old name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from providers import catalog, discovery, seeding
from providers.answers import Question
from providers.fetch import Fetched
from providers.models import ApiKey, Provider
from providers.probing import metrics
from tests.providers.admin_pages import found, page, provider, values
from tests.providers.api_client import ALIASES, MASTER, PROVIDERS, Api, master_key

pytestmark = pytest.mark.django_db
ENVIRON = {"VLLM_A_BASE_URL": "http://a:8000", "VLLM_B_BASE_URL": "http://b:8000"}
YAML = "providers: {yaml-a: {type: vllm, base_url: 'http://y'}}"


def start(folder: Path, environ: dict[str, str], *, prune: bool = False) -> list[str]:
    """What a process does at its start."""
    return seeding.write(seeding.read(environ, config_path="", base_dir=folder), prune=prune)


def names() -> list[str]:
    return sorted(Provider.objects.values_list("name", flat=True))


def rename(door: str, client: Client, before: str, after: str) -> None:
    row = Provider.objects.get(name=before)
    if door == "admin":
        client.post(page(row), values(name=after, base_url=row.base_url))
    else:
        Api(MASTER).patch(f"{PROVIDERS}/{before}", {"name": after})
    assert after in names()


@pytest.mark.parametrize("door", ["admin", "api"])
@pytest.mark.parametrize("before", ["vllm-a", "yaml-a"])
def test_a_renamed_provider_is_not_made_again(
    before: str, door: str, tmp_path: Path, admin_client: Client
) -> None:
    master_key()
    (tmp_path / "config.yaml").write_text(YAML)
    start(tmp_path, ENVIRON)

    rename(door, admin_client, before, "moved")
    rename(door, admin_client, "moved", "moved-again")
    done = start(tmp_path, ENVIRON)

    assert before not in names()
    assert len(names()) == 3
    assert any(
        f"provider moved-again, there {before}: edited in the admin" in each for each in done
    )


def test_a_renamed_provider_that_follows_again_keeps_its_name(
    tmp_path: Path, admin_client: Client
) -> None:
    start(tmp_path, ENVIRON)
    rename("admin", admin_client, "vllm-a", "moved")
    admin_client.post(page(Provider.objects.get(name="moved"), "follow"))

    start(tmp_path, ENVIRON | {"VLLM_A_BASE_URL": "http://other:8000"})

    assert names() == ["moved", "vllm-b"]
    assert Provider.objects.get(name="moved").base_url == "http://other:8000/v1"


def test_a_renamed_provider_that_is_no_longer_named_goes_by_prune(
    tmp_path: Path, admin_client: Client
) -> None:
    start(tmp_path, ENVIRON)
    rename("admin", admin_client, "vllm-a", "moved")
    admin_client.post(page(Provider.objects.get(name="moved"), "follow"))
    only_b = {"VLLM_B_BASE_URL": "http://b:8000"}

    start(tmp_path, only_b)
    assert names() == ["moved", "vllm-b"]
    start(tmp_path, only_b, prune=True)
    assert names() == ["vllm-b"]


def test_a_name_that_another_has_by_now_stops_no_start(
    tmp_path: Path, admin_client: Client
) -> None:
    start(tmp_path, ENVIRON)
    rename("admin", admin_client, "vllm-a", "vllm-c")

    done = start(tmp_path, ENVIRON | {"VLLM_C_BASE_URL": "http://c:8000"})

    assert names() == ["vllm-b", "vllm-c"]
    assert any("the vllm-c of the environment is not added" in each for each in done)


def test_a_row_made_in_the_admin_under_the_old_name_is_left_alone(
    tmp_path: Path, admin_client: Client
) -> None:
    start(tmp_path, ENVIRON)
    rename("admin", admin_client, "vllm-a", "moved")
    provider("vllm-a", base_url="http://mine/v1")

    start(tmp_path, ENVIRON)

    assert names() == ["moved", "vllm-a", "vllm-b"]
    assert Provider.objects.get(name="vllm-a").base_url == "http://mine/v1"


def test_a_row_of_the_release_before_goes_by_its_name(tmp_path: Path, admin_client: Client) -> None:
    start(tmp_path, ENVIRON)
    Provider.objects.update(seeded_as="")  # it does not write the column

    start(tmp_path, ENVIRON)
    rename("admin", admin_client, "vllm-a", "moved")
    start(tmp_path, ENVIRON)

    assert names() == ["moved", "vllm-b"]


def test_a_deleted_provider_that_is_still_named_is_made_again(tmp_path: Path) -> None:
    """As the documentation says."""
    start(tmp_path, ENVIRON)
    Provider.objects.filter(name="vllm-a").delete()

    start(tmp_path, ENVIRON)

    assert names() == ["vllm-a", "vllm-b"]


def test_a_copy_is_nobodys_but_the_admins(tmp_path: Path, admin_client: Client) -> None:
    start(tmp_path, ENVIRON)
    admin_client.post(page(Provider.objects.get(name="vllm-a"), "clone"))

    start(tmp_path, ENVIRON)

    assert names() == ["vllm-a", "vllm-a-copy", "vllm-b"]


def test_a_renamed_key_is_known_by_its_secret(tmp_path: Path) -> None:
    environ = {"AURORA_MASTER_KEY": "a-master-key-of-32-characters-00"}
    start(tmp_path, environ)
    ApiKey.objects.update(name="renamed")

    start(tmp_path, environ)

    assert [key.name for key in ApiKey.objects.usable()] == ["renamed"]


SILENT_FILES = ["", "providers:\n", "providers: {}\n", "# nothing\n", "---\n", "null\n"]


@pytest.mark.parametrize("text", SILENT_FILES)
@pytest.mark.parametrize("environ", [{}, dict.fromkeys(ENVIRON, ""), dict.fromkeys(ENVIRON, " ")])
def test_a_source_that_says_nothing_removes_nothing(
    text: str, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(YAML)
    start(tmp_path, ENVIRON)

    (tmp_path / "config.yaml").write_text(text)
    start(tmp_path, environ)

    assert names() == ["vllm-a", "vllm-b", "yaml-a"]
    assert {row.base_url for row in Provider.objects.all()} == {
        "http://a:8000/v1", "http://b:8000/v1", "http://y/v1",
    }  # fmt: skip
    assert Provider.objects.filter(enabled=True).count() == 3


@pytest.mark.parametrize("body", [b'{"data": []}', b'{"data": null}', b"{}", b"", b"[]"])
def test_a_server_that_lists_nothing_keeps_its_models(body: bytes) -> None:
    row = provider("gpu")
    found(row, "m")
    entry = catalog.provider_entry(row)
    question = Question(entry.address, has_key=False)

    discovery.record(entry, discovery.read(Fetched(200, body), question))

    assert list(catalog.load().providers["gpu"].models) == ["m"]


@pytest.mark.parametrize("text", ["", "other 1\n", "vllm:num_requests_running{}\n"])
def test_metrics_without_a_gauge_tell_no_load(text: str) -> None:
    assert not metrics.load(text.encode()).is_known


@pytest.mark.parametrize(
    "body",
    [{"weight": None}, {"model_ids": None}, {"enabled": None}, {"name": None}, {"base_url": ""}],
)
def test_a_member_that_is_null_or_empty_resets_nothing(body: dict[str, Any]) -> None:
    master_key()
    row = provider("gpu", weight=3)

    assert Api(MASTER).patch(f"{PROVIDERS}/gpu", body).status_code == 400
    assert Api(MASTER).patch(f"{PROVIDERS}/gpu", {}).status_code == 200
    row.refresh_from_db()
    assert (row.weight, row.enabled) == (3, True)


@pytest.mark.parametrize("targets", [None, []])
def test_an_alias_without_targets_is_refused_and_keeps_those_it_has(targets: Any) -> None:
    master_key()
    api = Api(MASTER)
    api.post(ALIASES, {"name": "chat", "targets": [{"model": "m"}]})

    assert api.patch(f"{ALIASES}/chat", {"targets": targets}).status_code == 400
    assert api.patch(f"{ALIASES}/chat", {}).status_code == 200
    assert len(api.get(f"{ALIASES}/chat").json()["targets"]) == 1
