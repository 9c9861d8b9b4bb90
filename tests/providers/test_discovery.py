"""What a server says of its models: read with suspicion, kept through failures."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream import fetch
from providers import addresses, answers, catalog, discovery, installation, revision
from providers.answers import Question
from providers.discovery import Outcome, record
from providers.fetch import Fetched
from providers.models import Discovery, Provider
from providers.snapshot import ProviderEntry
from tests.mounted import provider as mounted_provider
from tests.patience import PATIENCE_SECONDS
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm

SECRET = "upstream-secret-of-these-tests"


def listing(*ids: Any) -> Fetched:
    return Fetched(200, json.dumps({"object": "list", "data": [{"id": i} for i in ids]}).encode())


def read(answer: Fetched) -> Outcome:
    return discovery.read(answer, Question(addresses.parse("http://h:1"), has_key=True))


def ids(outcome: Outcome) -> list[str]:
    return [card["id"] for card in outcome.cards]


def test_a_real_servers_answer_is_its_cards_as_they_came():
    recorded = load("auth_get_v1_models")
    outcome = read(Fetched(200, recorded.body))
    assert outcome.ok
    assert list(outcome.cards) == recorded.json["data"]


@pytest.mark.parametrize(("count", "text"), [(1, "1 model."), (3, "3 models.")])
def test_the_models_are_counted(count, text):
    outcome = read(listing(*(f"m{n}" for n in range(count))))
    assert (outcome.ok, outcome.text) == (True, text)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Fetched(401, b'{"error":"Unauthorized"}'), "refuses the API key"),
        (Fetched(403, b""), "refuses the API key"),
        (Fetched(404, b'{"detail":"Not Found"}'), "Is the base URL right"),
        (Fetched(500, b"x"), "HTTP 500"),
        (Fetched(503, b""), "HTTP 503"),
        (Fetched(508, b""), "leads back to it (HTTP 508)"),
        (Fetched(307, b""), "HTTP 307"),
        (Fetched(204, b""), "HTTP 204"),
        (Fetched(200, b""), "not a list of models"),
        (Fetched(200, b"<html>"), "not a list of models"),
        (Fetched(200, b"\xff"), "not a list of models"),
        (Fetched(200, b'{"data":[{"id":"\xff"}]}'), "not a list of models"),
        (Fetched(200, b"null"), "not a list of models"),
        (Fetched(200, b"[]"), "not a list of models"),
        (Fetched(200, b"{}"), "not a list of models"),
        (Fetched(200, b'{"data":{}}'), "not a list of models"),
        (Fetched(200, b'{"data":["m"]}'), "not a list of models"),
        (Fetched(200, b'{"data":null}'), "not a list of models"),
        (Fetched(200, b'{"data":' + b"[" * 100_000), "not a list of models"),
        (Fetched(200, b'{"data":[{"id":' + b'{"a":' * 100_000), "not a list of models"),
        (Fetched(200, b'{"data":[]}'), "no models"),
        (Fetched(200, b'{"data":[{}]}'), "no models"),
    ],
)
def test_any_other_answer_is_a_failure_that_says_what_to_look_at(answer, said):
    outcome = read(answer)
    assert not outcome.ok
    assert said in outcome.text
    assert outcome.cards == ()


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        " ",
        " m",
        "m ",
        "a\nb",
        "a\0b",
        "\x1b[2J",
        "a\u202eb",
        "a\u200bb",
        "x" * 256,
        None,
        1,
        [],
        {},
        True,
    ],
)
def test_an_id_that_no_client_could_ask_for_or_no_page_could_show_is_left_out(hostile):
    assert ids(read(listing("good", hostile))) == ["good"]


@pytest.mark.parametrize(
    "good", ["m", "meta-llama/Llama-3.1-8B", "a b", "ü", "模型", "x" * 255, "/", "<b>"]
)
def test_an_id_that_can_be_asked_for_is_kept(good):
    assert ids(read(listing(good))) == [good]


def test_there_is_a_largest_number_of_models():
    outcome = read(listing(*(f"m{n}" for n in range(discovery.MOST_MODELS + 1))))
    assert len(outcome.cards) == discovery.MOST_MODELS


@given(st.integers(100, 599), st.binary(max_size=50))
def test_no_answer_raises(status, body):
    read(Fetched(status, body))


@pytest.fixture
def row(db) -> Provider:
    return Provider.objects.create(name="a", base_url="http://h:1")


@pytest.fixture
def entry(row) -> ProviderEntry:
    return catalog.provider_entry(row)


GOOD = Outcome(True, "1 model.", ({"id": "m"},))
BAD = Outcome(False, "No answer.")


def test_a_success_is_kept_with_its_time(entry):
    kept = record(entry, GOOD)
    assert kept is not None
    kept.refresh_from_db()
    assert (kept.cards, kept.error) == ([{"id": "m"}], "")
    assert kept.asked is not None
    assert kept.asked == kept.answered


def test_a_failure_keeps_the_cards_and_the_time_of_the_last_success(entry):
    first = record(entry, GOOD)
    second = record(entry, BAD)
    assert first is not None
    assert second is not None
    second.refresh_from_db()
    assert (second.cards, second.error) == ([{"id": "m"}], "No answer.")
    assert second.answered == first.answered
    assert second.asked is not None
    assert first.asked is not None
    assert second.asked > first.asked


def test_a_failure_before_any_success_is_kept_without_cards(entry):
    kept = record(entry, BAD)
    assert kept is not None
    assert (kept.cards, kept.error, kept.answered) == ([], "No answer.", None)


def test_a_success_ends_the_error(entry):
    record(entry, BAD)
    kept = record(entry, GOOD)
    assert kept is not None
    assert (kept.cards, kept.error) == ([{"id": "m"}], "")


def test_an_endless_error_is_cut(entry):
    kept = record(entry, Outcome(False, "x" * 10_000))
    assert kept is not None
    kept.refresh_from_db()
    assert len(kept.error) == discovery.MOST_ERROR_CHARACTERS


def test_an_answer_of_an_address_that_the_provider_has_left_says_nothing_of_it(row, entry):
    record(entry, GOOD)
    row.base_url = "http://elsewhere"
    row.save()
    assert record(entry, Outcome(True, "", ({"id": "old"},))) is None
    assert Discovery.objects.get().cards == [{"id": "m"}]


def test_an_answer_of_a_deleted_provider_is_forgotten(row, entry):
    row.delete()
    assert record(entry, GOOD) is None
    assert not Discovery.objects.exists()


def test_an_answer_of_a_provider_that_never_was_is_forgotten(entry):
    assert record(replace(entry, id=uuid.uuid4()), GOOD) is None


def test_only_a_change_of_cards_or_error_counts_as_a_change(entry):
    for outcome, changes in [
        (GOOD, True),
        (GOOD, False),
        (BAD, True),
        (BAD, False),
        (Outcome(False, "Other."), True),
        (GOOD, True),
        (Outcome(True, "", ({"id": "m"}, {"id": "n"})), True),
        (Outcome(True, "", ({"id": "n"}, {"id": "m"})), True),
        (Outcome(False, "x" * 600), True),
        (Outcome(False, "x" * 600), False),
    ]:
        before = revision.current()
        record(entry, outcome)
        assert (revision.current() > before) is changes, outcome.text


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\u001f", "\U0001f600", "x" * 100_000])
def test_whatever_text_a_card_holds_is_kept_or_refused_but_never_fails_the_database(entry, text):
    outcome = read(Fetched(200, f'{{"data":[{{"id":"m","root":"{text}"}}]}}'.encode()))
    kept = record(entry, outcome)
    assert kept is not None
    kept.refresh_from_db()
    assert [card["id"] for card in kept.cards] == (["m"] if outcome.ok else [])


def test_asking_now_keeps_what_the_server_says(vllm: ScriptedVllm, row):
    vllm.models = ["m", "org/n"]
    vllm.required_key = SECRET
    row.base_url, row.api_key = vllm.url, SECRET
    row.save()

    kept = discovery.ask_now(row.pk)

    assert [card["id"] for card in kept.cards] == ["m", "org/n"]
    (asked,) = vllm.discoveries
    assert (asked.method, asked.path_and_query) == ("GET", "/v1/models")
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert asked.headers["accept-encoding"] == "identity"


def test_asking_now_of_a_provider_that_is_gone_is_told(row):
    row.delete()
    with pytest.raises(Provider.DoesNotExist):
        discovery.ask_now(uuid.uuid4())


def test_testing_an_unsaved_provider_keeps_nothing(vllm: ScriptedVllm, db):
    outcome = discovery.test(Provider(name="new", base_url=vllm.url))
    assert (outcome.ok, outcome.text) == (True, "1 model.")
    assert "authorization" not in vllm.discoveries[0].headers
    assert not Provider.objects.exists()
    assert not Discovery.objects.exists()


def test_a_wrong_key_is_told_without_it(vllm: ScriptedVllm, db):
    vllm.required_key = "another"
    row = Provider(name="a", base_url=vllm.url)
    row.api_key = SECRET
    outcome = discovery.test(row)
    assert not outcome.ok
    assert "refuses the API key" in outcome.text
    assert SECRET not in outcome.text


def refuses(vllm: ScriptedVllm) -> None:
    vllm.will_refuse()


def resets(vllm: ScriptedVllm) -> None:
    vllm.discovery.will_reset_before_answer()


def cuts(vllm: ScriptedVllm) -> None:
    vllm.discovery.will_cut_after(b'{"data":[')


def speaks_no_http(vllm: ScriptedVllm) -> None:
    vllm.discovery.will_send(b"SSH-2.0-OpenSSH\r\n\r\n", then="close")


def is_too_long(vllm: ScriptedVllm) -> None:
    vllm.discovery.will_answer(body=b" " * (discovery.MOST_BYTES + 1))


def redirects(vllm: ScriptedVllm) -> None:
    vllm.discovery.will_answer(307, [("location", "http://127.0.0.1:9/v1/models")])


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (refuses, "Cannot be reached: connection refused."),
        (resets, "Cannot be reached"),
        (cuts, "Cannot be reached"),
        (speaks_no_http, "Cannot be reached"),
        (is_too_long, "longer than"),
        (redirects, "HTTP 307"),
    ],
)
def test_a_server_that_fails_is_an_outcome_and_keeps_its_models(
    does, said, vllm: ScriptedVllm, row
):
    row.base_url = vllm.url
    row.save()
    record(catalog.provider_entry(row), GOOD)
    does(vllm)

    kept = discovery.ask_now(row.pk)

    assert said in kept.error
    assert kept.cards == [{"id": "m"}]


def test_an_unknown_host_is_told(db):
    outcome = discovery.test(Provider(name="a", base_url="http://no-such-host.invalid"))
    assert not outcome.ok
    assert outcome.text.startswith("Cannot be reached: host not found. Check the spelling")


def test_a_provider_whose_key_cannot_be_opened_is_not_asked(vllm: ScriptedVllm, row):
    row.base_url, row.sealed_api_key = vllm.url, "cut"
    row.save()
    assert "enter it again" in discovery.ask_now(row.pk).error
    assert vllm.discoveries == []


def asked_of(*cards: dict[str, Any]) -> Outcome:
    """What comes of asking a server that lists these cards."""
    entry = mounted_provider("http://127.0.0.1:1/v1")

    async def fetch(url: str, *_: Any, **__: Any) -> Fetched:
        return Fetched(200, json.dumps({"data": list(cards)}).encode())

    return asyncio.run(discovery.ask(entry, fetch))


def test_what_another_aurora_serves_from_here_is_left_out():
    """Else each would list the other's list, and the names would grow by the minute."""
    own, older = "x" * 24, installation.ids()[0]
    cards: list[dict[str, Any]] = [
        {"id": "m"},
        {"id": "b/m", "aurora_via": [own, older]},
        {"id": "n", "aurora_via": [own]},
    ]

    assert ids(asked_of(*cards)) == ["m", "n"]


def test_an_aurora_that_serves_nothing_else_leads_back():
    outcome = asked_of({"id": "m", "aurora_via": ["other", installation.ids()[0]]})

    assert (outcome.ok, outcome.text.startswith(answers.LEADS_BACK)) == (False, True)
    assert discovery.is_misconfiguration(outcome.text)


def test_discovery_and_probes_say_whose_they_are(vllm):
    for path in ("/v1/models", "/health", "/metrics", "/openapi.json"):
        url = f"{vllm.url.removesuffix('/v1')}{path}"
        asyncio.run(fetch(url, None, seconds=PATIENCE_SECONDS, most_bytes=2**20))

    asked = [*vllm.discoveries, *vllm.probes, *vllm.spec_requests]
    assert [call.headers["x-aurora-hops"] for call in asked] == [installation.ids()[0]] * 4
