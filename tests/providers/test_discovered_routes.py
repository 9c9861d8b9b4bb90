"""What a server speaks: asked beside its models, kept, live, and shown as text."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.test import Client

from providers import catalog, discovery, revision
from providers.catalog import load
from providers.discovery import UNHEARD, Outcome, record
from providers.fetch import Fetched, FetchFailed
from providers.models import Discovery, Provider
from tests.providers.admin_pages import client_with, found, page, provider, text
from tests.providers.api_client import MASTER, PROVIDERS, Api, master_key
from tests.scripted_vllm import ScriptedVllm

pytestmark = pytest.mark.django_db
SECRET = "upstream-secret-of-these-tests"
ROUTES = ("/v1/responses", "/tokenize")
SORTED = ["/tokenize", "/v1/responses"]
M, N = {"id": "m"}, {"id": "n"}


@pytest.fixture
def row(vllm: ScriptedVllm) -> Provider:
    return provider("a", base_url=vllm.url, key=SECRET)


def asked_again(row: Provider) -> Discovery:
    discovery.ask_now(row.pk)
    return Discovery.objects.get(provider=row)


def test_a_server_is_asked_what_it_speaks_with_its_key_after_its_models(vllm, row):
    vllm.routes = ROUTES

    assert asked_again(row).routes == SORTED

    (asked,) = vllm.spec_requests
    assert (asked.method, asked.path_and_query) == ("GET", "/openapi.json")
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert len(vllm.discoveries) == 1
    assert vllm.received == []


def test_the_question_goes_below_the_prefix_of_the_base_url(vllm, row):
    row.base_url = vllm.url.replace("/v1", "/eu/v1")
    asked: list[str] = []

    async def fetch(url: str, authorization: str | None, **_: Any) -> Fetched:
        asked.append(url)
        return Fetched(200, b'{"data":[{"id":"m"}]}')

    asyncio.run(discovery.ask(catalog.provider_entry(row), fetch))
    root = vllm.url.removesuffix("/v1")
    assert asked == [f"{root}/eu/v1/models", f"{root}/eu/openapi.json"]


def test_both_questions_end_within_the_bounded_total(row):
    given: list[float] = []

    async def fetch(url: str, authorization: str | None, *, seconds: float, **_: Any) -> Fetched:
        given.append(seconds)
        if url.endswith("/openapi.json"):
            raise FetchFailed("No answer.")
        return Fetched(200, b'{"data":[{"id":"m"}]}')

    outcome = asyncio.run(discovery.ask(catalog.provider_entry(row), fetch))
    assert (outcome.ok, outcome.routes) == (True, UNHEARD)
    assert given[0] == discovery.TOTAL_SECONDS
    assert 0 < given[1] <= discovery.SPEC_SECONDS < discovery.TOTAL_SECONDS


def test_a_server_that_does_not_list_its_models_is_asked_no_more(vllm, row):
    vllm.discovery.will_answer(500)
    assert asked_again(row).error
    assert vllm.spec_requests == []


def is_closed(vllm: ScriptedVllm) -> None:
    vllm.routes = None


def wants_another_key(vllm: ScriptedVllm) -> None:
    vllm.spec.will_answer_json(401, {"error": "Unauthorized"})


def fails_to_make_its_spec(vllm: ScriptedVllm) -> None:
    vllm.spec.will_answer(500)


def forbids_it_with_a_spec(vllm: ScriptedVllm) -> None:
    paths: dict[str, Any] = {"/v1/models": {"get": {}}, "/v1/responses": {"post": {}}}
    vllm.spec.will_answer_json(403, {"paths": paths})


def answers_a_page(vllm: ScriptedVllm) -> None:
    vllm.spec.will_answer(body=b"<html>")


def is_another_kind_of_server(vllm: ScriptedVllm) -> None:
    vllm.spec.will_answer_json(200, {"paths": {"/v1/responses": {"post": {}}}})


def is_too_long(vllm: ScriptedVllm) -> None:
    vllm.spec.will_answer(body=b" " * (discovery.MOST_BYTES + 1))


@pytest.mark.parametrize(
    "does",
    [
        is_closed,
        wants_another_key,
        fails_to_make_its_spec,
        forbids_it_with_a_spec,
        answers_a_page,
        is_another_kind_of_server,
        is_too_long,
    ],
)
def test_an_answer_that_is_no_spec_says_nothing_and_nothing_old_stays(does, vllm, row):
    vllm.routes = ROUTES
    assert asked_again(row).routes == SORTED
    does(vllm)

    kept = asked_again(row)

    assert (kept.routes, kept.error) == (None, "")
    assert len(kept.cards) == 1


def resets(vllm: ScriptedVllm) -> None:
    vllm.spec.will_reset_before_answer()


def cuts(vllm: ScriptedVllm) -> None:
    vllm.spec.will_cut_after(b'{"paths":{')


@pytest.mark.parametrize("does", [resets, cuts])
def test_a_question_that_was_not_answered_leaves_the_last_routes(does, vllm, row):
    vllm.routes = ROUTES
    asked_again(row)
    does(vllm)

    kept = asked_again(row)

    assert (kept.routes, kept.error) == (SORTED, "")


def test_a_server_that_falls_silent_at_its_spec_alone_is_well(vllm, row):
    async def impatient(url: str, authorization: str | None, **limits: Any) -> Fetched:
        seconds = 0.2 if url.endswith("/openapi.json") else limits["seconds"]
        return await discovery.fetch()(url, authorization, **limits | {"seconds": seconds})

    vllm.spec.will_stall()
    outcome = asyncio.run(discovery.ask(catalog.provider_entry(row), impatient))

    assert (outcome.ok, outcome.text, outcome.routes) == (True, "1 model.", UNHEARD)


@pytest.mark.parametrize(
    ("outcome", "routes"),
    [
        (Outcome(False, "No answer."), ["/a"]),
        (Outcome(True, "", (M,), UNHEARD), ["/a"]),
        (Outcome(True, "", ({**M, "created": 2},), UNHEARD), ["/a"]),
        (Outcome(True, "", (N,), UNHEARD), None),
        (Outcome(True, "", (M, N), UNHEARD), None),
        (Outcome(True, "", (M,), ["/b"]), ["/b"]),
        (Outcome(True, "", (M,), []), []),
        (Outcome(True, "", (M,), None), None),
    ],
)
def test_what_is_kept_of_the_routes_after_each_outcome(row, outcome, routes):
    entry = catalog.provider_entry(row)
    record(entry, Outcome(True, "", (M,), ["/a"]))

    record(entry, outcome)

    assert Discovery.objects.get().routes == routes


def test_a_change_of_the_routes_is_a_change_and_the_same_again_is_none(row):
    entry = catalog.provider_entry(row)
    said = [Outcome(True, "", (M,), routes) for routes in (["/a"], ["/a"], UNHEARD, None, None)]
    for outcome, changes in zip(said, [True, False, False, True, False], strict=True):
        before = revision.current()
        record(entry, outcome)
        assert (revision.current() > before) is changes, outcome


@pytest.mark.parametrize(
    ("kept", "known"),
    [(None, None), ([], frozenset()), (SORTED, frozenset(SORTED))],
)
def test_a_call_knows_the_routes(kept, known):
    found(provider("a"), "m", routes=kept)
    assert load().providers["a"].routes == known


def test_of_a_server_that_was_never_asked_no_routes_are_known():
    provider("a")
    assert load().providers["a"].routes is None


def test_the_page_lists_what_the_server_speaks(admin_client: Client):
    found(made := provider(), "m", routes=SORTED)

    shown = text(admin_client.get(page(made)))

    assert "What this server speaks: 2 routes" in shown
    assert shown.index("<code>/tokenize</code>") < shown.index("<code>/v1/responses</code>")
    assert "/tokenize" in text(client_with("view_provider").get(page(made)))


def test_the_page_tells_where_a_server_does_not_say(admin_client: Client):
    found(asked := provider("asked"), "m")
    for made in (asked, provider("unasked")):
        assert "What this server speaks: it does not say." in text(admin_client.get(page(made)))


def test_the_management_api_tells_what_a_server_speaks(vllm, row):
    master_key()
    api, vllm.routes = Api(MASTER), ROUTES
    assert api.get(f"{PROVIDERS}/a").json()["health"]["routes"] is None
    assert api.post(f"{PROVIDERS}/a/refresh").json()["health"]["routes"] == SORTED
