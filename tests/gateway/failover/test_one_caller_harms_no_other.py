"""What one caller sends, by design or by mistake, shuts no server for the others and runs no more
often than it should."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.fleet.breaker import FIRST_OPEN_SECONDS, MOST_IN_A_ROW
from gateway.routing import Settings, session
from providers import secrets
from providers.snapshot import AliasEntry, TargetEntry
from tests.gateway.failover.conftest import NAME, Fleet
from tests.gateway.failover.test_sentences import tells
from tests.mounted import CHAT, MASTER_KEY, MODEL, error_of, provider, request
from tests.patience import PATIENCE_SECONDS
from tests.processes import eventually
from tests.raw_http import request_bytes
from tests.scripting import json_answer

HINT = secrets.hint(MASTER_KEY)
NOT_FOUND = {"detail": "Not Found"}
BAD_VALUE = (
    b'data: {"error": {"message": "logit_bias is out of range", "type": "BadRequestError",'
    b' "param": null, "code": 400}}\n\n'
)
CHUNK = (
    b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"role":"assistant","content":"He"},"finish_reason":null}]}\n\n'
)
DONE = b"data: [DONE]\n\n"
UNKNOWN = {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError"}}


def test_a_route_that_no_server_has_is_asked_for_once_at_each(fleet: Fleet) -> None:
    for server in (fleet.one, fleet.two):
        server.will_answer_json(404, NOT_FOUND, always=True)

    answer = fleet.gateway.post("/p/vllm/classify", {"model": MODEL, "input": "x"})

    assert (answer.status, error_of(answer)["code"]) == (400, "unsupported_endpoint")
    assert fleet.calls == (1, 1)


def test_nor_again_while_it_waits_for_one_that_may_have_it(fleet: Fleet) -> None:
    full = replace(fleet.entries["two"], max_concurrency=1)
    fleet.gateway.publish(fleet.entries["one"], full)
    fleet.two.will_stall()
    held = fleet.gateway.connect()
    held.send(request("POST", CHAT, msgspec.json.encode({"model": f"two/{MODEL}"})))
    fleet.two.wait_until_received()
    fleet.one.will_answer_json(404, NOT_FOUND, always=True)

    with ThreadPoolExecutor(1) as elsewhere:
        body = {"model": MODEL, "input": "x"}
        waits = elsewhere.submit(fleet.gateway.post, "/p/vllm/classify", body)
        eventually(lambda: any(r.waiting for r in fleet.gateway.fleet.reports().values()))
        held.close()
        assert waits.result(PATIENCE_SECONDS).headers["x-aurora-provider"] == "two"

    assert len(fleet.one.received) == 1


def test_a_stream_refused_for_what_it_asks_is_the_answer_and_says_nothing_of_the_server(
    fleet: Fleet,
) -> None:
    fleet.one.will_stream(BAD_VALUE, DONE, always=True)

    answers = [fleet.chat(stream=True) for _ in range(2 * MOST_IN_A_ROW)]

    assert {answer.body for answer in answers} == {BAD_VALUE + DONE}
    assert {answer.headers["x-aurora-attempts"] for answer in answers} == {"1"}
    assert fleet.calls == (2 * MOST_IN_A_ROW, 0)
    eventually(lambda: fleet.gateway.fleet.reports() == {})


def test_so_is_one_that_is_translated(fleet: Fleet) -> None:
    fleet.publish(translation="always")
    fleet.one.will_stream(BAD_VALUE, DONE)
    body = {"model": NAME, "max_tokens": 5, "stream": True, "messages": HELLO}

    answer = fleet.gateway.post("/v1/messages", body)

    assert (answer.status, fleet.calls) == (400, (1, 0))
    assert "logit_bias" in answer.json["error"]["message"]


def test_nor_does_a_translated_one_that_fails_later_for_what_it_asks(fleet: Fleet) -> None:
    fleet.publish(translation="always")
    fleet.one.will_stream(CHUNK, BAD_VALUE, DONE, always=True)
    body = {"model": NAME, "max_tokens": 5, "stream": True, "messages": HELLO}

    for _ in range(2 * MOST_IN_A_ROW):
        assert b"logit_bias" in fleet.gateway.post("/v1/messages", body).body

    assert fleet.calls == (2 * MOST_IN_A_ROW, 0)
    eventually(lambda: fleet.gateway.fleet.reports() == {})


HELLO = [{"role": "user", "content": "Hello"}]


def test_a_model_that_a_client_made_up_does_not_make_its_server_misconfigured(
    fleet: Fleet,
) -> None:
    fleet.one.will_answer_json(404, UNKNOWN)

    answer = fleet.gateway.post(f"/p/one{CHAT}", {"model": "x", "messages": []})

    assert answer.status == 404
    assert fleet.chat().headers["x-aurora-provider"] == "one"


@pytest.mark.parametrize("status", [500, 501])
def test_errors_that_may_be_the_calls_own_do_not_shut_a_server(fleet: Fleet, status: int) -> None:
    said = {"error": {"message": "No such image.", "type": "InternalServerError"}}
    fleet.one.will_answer_json(status, said, always=True)

    answers = [fleet.chat().status for _ in range(2 * MOST_IN_A_ROW)]

    assert answers == [status] * 2 * MOST_IN_A_ROW
    eventually(lambda: fleet.gateway.fleet.reports() == {})


def test_a_call_that_cannot_be_put_is_no_trial(fleet: Fleet) -> None:
    """A member that chat completions have no word for: 400, and nothing is sent."""
    fleet.only(translation="always")
    fleet.one.will_answer(503, always=True)
    one = f"one/{MODEL}"
    for _ in range(MOST_IN_A_ROW):
        fleet.chat(one)
    fleet.clock.seconds += FIRST_OPEN_SECONDS * 1.25
    sent = len(fleet.one.received)
    bad = {
        "model": one,
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "x"}]}],
    }

    assert fleet.gateway.post("/v1/messages", bad).status == 400

    fleet.chat(one)
    assert len(fleet.one.received) > sent, "the next call may try"


@pytest.mark.parametrize("options", [{"pools": Settings(queue_seconds=30.0)}])
def test_a_sentence_that_nobody_has_room_for_ends_with_its_error(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    two = provider(fleet.two.url, "two", max_concurrency=1)
    tiers = tuple((TargetEntry(name, MODEL),) for name in ("one", "two"))
    alias = AliasEntry(NAME, tiers, resumes=True)
    fleet.gateway.publish(fleet.entries["one"], two, aliases=[alias])
    tells(fleet.one, "one", until=3, how="it is cut")
    fleet.two.will_stall()
    client = fleet.gateway.connect()
    body = b'{"model":"two/%s","messages":[]}' % MODEL.encode()
    client.send(request("POST", CHAT, body))
    fleet.two.wait_until_received()
    waits = elsewhere.submit(fleet.chat, stream=True, messages=HELLO)
    eventually(lambda: any(r.waiting for r in fleet.gateway.fleet.reports().values()))

    fleet.clock.seconds += 31

    answer = waits.result(PATIENCE_SECONDS)
    client.close()
    assert answer.status == 200
    assert b'data: {"error"' in answer.body


def test_uploads_that_take_their_time_hold_no_place(fleet: Fleet) -> None:
    fleet.publish(max_concurrency=1)
    slow, before = fleet.gateway.connect(), fleet.gateway.calls
    fields = [("Authorization", f"Bearer {MASTER_KEY}"), ("Content-Length", "100")]
    slow.send(request_bytes("POST", "/p/one/tokenize", fields) + b'{"prompt":')
    eventually(lambda: fleet.gateway.calls > before)

    assert fleet.chat(f"one/{MODEL}").status == 200
    slow.close()


def test_the_calls_of_a_session_are_known_as_its_own(fleet: Fleet) -> None:
    """So that they are no reason to take it from its server."""
    said = {"model": MODEL, "messages": HELLO, "prompt_cache_key": "mine"}
    [name] = {fleet.gateway.post(CHAT, said).headers["x-aurora-provider"] for _ in range(3)}

    [caller] = {key for key in fleet.gateway.catalog.current().keys.values() if key.hint == HINT}
    members = {"prompt_cache_key": msgspec.Raw(b'"mine"')}
    key, now = session([], members, caller.owner).key, fleet.gateway.fleet.now()
    [(sight, calls)] = fleet.gateway.fleet._sessions.own(key, now)
    assert (sight.entry.name, round(calls)) == (name, 3)


def test_servers_that_are_only_busy_are_all_asked(fleet: Fleet) -> None:
    """Nothing was begun there, so it does not count as tried in earnest."""
    busy = [provider(f"http://127.0.0.1:{fleet.one.port}/v1", f"busy-{n}") for n in range(5)]
    fleet.gateway.publish(*busy, provider(fleet.two.url, "idle", weight=0.001))
    fleet.one.will_send(json_answer(429, {"error": {"message": "slow"}}), always=True)

    answers: list[Any] = [fleet.gateway.post(CHAT, {"model": MODEL, "messages": []})]

    assert [answer.status for answer in answers] == [200]
    assert answers[0].headers["x-aurora-provider"] == "idle"
