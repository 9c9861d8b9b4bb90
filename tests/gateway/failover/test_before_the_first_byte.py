"""A server fails a call before the client has seen anything: the next one answers, and the client
does not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from gateway.failover import MOST_ATTEMPTS, MOST_ROUNDS
from providers.snapshot import AliasEntry, TargetEntry
from tests.gateway.failover.conftest import NAME, Fleet
from tests.mounted import CHAT, MODEL, error_of, provider, request
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm
from tests.scripting import Script, json_answer

ONE = f"one/{MODEL}"
ERROR_EVENT = b'data: {"error": {"message": "EngineCore encountered an issue.", "code": 500}}\n\n'
DONE = b"data: [DONE]\n\n"
DEAD = {"error": {"message": "EngineCore encountered an issue.", "type": "InternalServerError"}}
GONE = {"error": {"message": "The model `m` does not exist.", "type": "NotFoundError", "code": 404}}
ABORTED = {"choices": [{"message": {"content": "He"}, "finish_reason": "abort"}]}
STOPPED = json_answer(200, ABORTED)
BUSY = [("retry-after", "7"), ("content-type", "application/json")]
FAILURES: dict[str, Callable[[ScriptedVllm], None]] = {
    "refused": lambda server: server.will_refuse(),
    "reset": lambda server: server.will_reset_before_answer(),
    "closed without an answer": lambda server: server.will_send(b"", then="close"),
    "closed within the headers": lambda server: server.will_send(b"HTTP/1.1 200", then="close"),
    "closed before the body": lambda server: server.will_cut_after(),
    "no HTTP": lambda server: server.will_send(b"nonsense\r\n\r\n", then="close"),
    "502": lambda server: server.will_answer(502),
    "503": lambda server: server.will_answer(503),
    "504": lambda server: server.will_answer_json(504, {"detail": "Gateway Timeout"}),
    "429": lambda server: server.will_answer(429, BUSY, b'{"error":{"message":"slow"}}'),
    "the first event is an error": lambda server: server.will_stream(ERROR_EVENT, DONE),
    "the first event is an error in pieces": lambda server: server.will_stream(
        ERROR_EVENT[:3], ERROR_EVENT[3:9], ERROR_EVENT[9:], DONE, pause_seconds=0.01
    ),
    "the first event is an error behind a comment": lambda server: server.will_stream(
        b": pi", b"ng\r\n\r\n", ERROR_EVENT.replace(b"\n", b"\r\n"), DONE, pause_seconds=0.01
    ),
    "the engine is dead": lambda server: server.will_answer_json(500, DEAD),
    "it was stopped": lambda server: server.will_answer_json(200, ABORTED),
    "it was stopped, told in pieces": lambda server: server.will_send(
        STOPPED[:-9], STOPPED[-9:], pause_seconds=0.01
    ),
    "broken off within a plain answer": lambda server: server.will_send(STOPPED[:-9], then="close"),
    "reset within a plain answer": lambda server: server.will_send(STOPPED[:-9], then="reset"),
    "another key": lambda server: setattr(server, "required_key", "another"),
    "another model": lambda server: server.will_answer_json(404, GONE),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", FAILURES)
def test_the_next_server_answers(fleet: Fleet, failure: str, *, stream: bool) -> None:
    FAILURES[failure](fleet.one)
    recording = load("gen_chat_stream" if stream else "gen_chat_plain")
    fleet.two.will_replay(recording)

    answer = fleet.chat(stream=stream)

    assert (answer.status, answer.body) == (200, recording.body)
    assert answer.headers["x-aurora-provider"] == "two"
    assert answer.headers["x-aurora-attempts"] == "2"
    assert fleet.calls == (0 if failure == "refused" else 1, 1)
    assert fleet.two.received[0].json == {"model": MODEL, "messages": [], "stream": stream}
    record = fleet.gateway.record()
    assert (record["provider"], record["attempts"], record["status"]) == ("two", 2, 200)
    assert "reason" not in record


def test_a_call_that_goes_well_says_that_one_server_was_tried(fleet: Fleet) -> None:
    answer = fleet.chat()

    assert (answer.headers["x-aurora-provider"], answer.headers["x-aurora-attempts"]) == (
        "one",
        "1",
    )


def test_a_server_is_not_told_what_the_client_said_of_attempts(fleet: Fleet) -> None:
    fleet.gateway.call(
        "POST", CHAT, b'{"model":"%s"}' % NAME.encode(), [("X-Aurora-Attempts", "9")]
    )

    assert "x-aurora-attempts" not in fleet.one.received[0].headers


ANSWERED = {
    "400": (400, {"error": {"message": "Too long.", "type": "BadRequestError", "code": 400}}),
    "404 of something else": (404, {"error": {"message": "No adapter.", "type": "NotFoundError"}}),
    "413": (413, {"error": {"message": "Too large.", "type": "BadRequestError"}}),
    "422": (422, {"error": {"message": "No.", "type": "BadRequestError"}}),
    "500": (500, {"error": {"message": "A bug.", "type": "InternalServerError"}}),
    "501": (501, {"error": {"message": "Not here.", "type": "NotImplementedError"}}),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_what_speaks_of_the_call_itself_is_the_answer(fleet: Fleet, case: str) -> None:
    status, body = ANSWERED[case]
    fleet.one.will_answer_json(status, body)

    answer = fleet.chat()

    assert (answer.status, answer.json) == (status, body)
    assert fleet.calls == (1, 0)


def test_a_call_that_a_server_left_unanswered_is_not_sent_elsewhere(fleet: Fleet) -> None:
    fleet.publish(first_byte_seconds=0.2)
    fleet.one.will_stall()

    answer = fleet.chat()

    assert (answer.status, error_of(answer)["code"]) == (504, "upstream_timeout")
    assert answer.headers["x-aurora-attempts"] == "1"
    fleet.one.wait_until_left()
    assert fleet.calls == (1, 0)


def test_a_call_left_unanswered_is_sent_elsewhere_where_its_provider_allows_it(
    fleet: Fleet,
) -> None:
    fleet.publish(first_byte_seconds=0.2, repeats_after_timeout=True)
    fleet.one.will_stall()

    assert fleet.chat().headers["x-aurora-provider"] == "two"
    fleet.one.wait_until_left()


def test_a_call_is_never_sent_elsewhere_after_the_first_byte(fleet: Fleet) -> None:
    fleet.one.will_cut_after(b'data: {"id": 1}\n\n')

    answer = fleet.chat(stream=True)

    assert answer.body.startswith(b'data: {"id": 1}\n\ndata: {"error"')
    assert fleet.calls == (1, 0)
    assert fleet.gateway.record()["reason"].startswith("upstream_broke")


def test_where_all_fail_the_client_is_told_what_the_last_one_said(fleet: Fleet) -> None:
    said = {"error": {"message": "Overloaded.", "type": "InternalServerError"}}
    for server in (fleet.one, fleet.two):
        server.will_answer_json(503, said, always=True)

    answer = fleet.chat()

    assert (answer.status, answer.json) == (503, said)
    assert answer.headers["x-aurora-attempts"] == "3"
    assert fleet.calls == (2, 1), "as many servers as may be brought down by one call"
    assert fleet.gateway.record()["reason"] == "upstream_503"


def test_a_stream_that_fails_at_once_everywhere_goes_out_as_it_came(fleet: Fleet) -> None:
    for server in (fleet.one, fleet.two):
        server.will_stream(ERROR_EVENT, DONE, always=True)

    answer = fleet.chat(stream=True)

    assert (answer.status, answer.body) == (200, ERROR_EVENT + DONE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert fleet.gateway.record()["reason"] == "upstream_error"


@pytest.mark.parametrize("cut", [None, 9, 20])
def test_in_another_dialect_it_is_an_error_there_wherever_it_is_cut(
    fleet: Fleet, cut: int | None
) -> None:
    for server in (fleet.one, fleet.two):
        pieces = (ERROR_EVENT,) if cut is None else (ERROR_EVENT[:cut], ERROR_EVENT[cut:])
        server.will_stream(*pieces, DONE, pause_seconds=0.01, always=True)
    fleet.publish(translation="always")
    said = [{"role": "user", "content": "Hi"}]
    asked = {"model": ONE, "max_tokens": 9, "stream": True, "messages": said}

    answer = fleet.gateway.post("/v1/messages", asked)

    assert (answer.status, answer.json["type"]) == (502, "error")
    assert "EngineCore" in answer.json["error"]["message"]


def test_a_server_that_is_being_stopped_is_logged_where_there_is_no_other(fleet: Fleet) -> None:
    fleet.only()
    fleet.one.will_answer_json(200, ABORTED, always=True)

    answer = fleet.chat(ONE)

    assert (answer.status, answer.json) == (200, ABORTED)
    assert fleet.gateway.record()["reason"] == "upstream_stopped"


def test_a_server_that_has_lost_a_model_is_asked_for_the_next_of_the_alias(fleet: Fleet) -> None:
    """As where an adapter was just unloaded, and the model below it is the second tier."""
    one = provider(fleet.one.url, "one", models=("adapter", "base"))
    tiers = tuple((TargetEntry("one", model),) for model in ("adapter", "base"))
    fleet.gateway.publish(one, aliases=[AliasEntry(NAME, tiers)])
    lost = Script((json_answer(404, GONE),))
    fleet.one.answers = lambda call: lost if call.json["model"] == "adapter" else None

    answer = fleet.chat()

    assert (answer.status, answer.headers["x-aurora-attempts"]) == (200, "2")
    assert [call.json["model"] for call in fleet.one.received] == ["adapter", "base"]


# The only server, or the last.


def test_the_only_server_is_asked_again_after_a_pause(fleet: Fleet) -> None:
    fleet.only()
    fleet.one.will_answer(503)

    answer = fleet.chat(ONE)

    assert (answer.status, answer.headers["x-aurora-attempts"]) == (200, "2")
    [pause] = fleet.clock.slept
    assert 0 < pause < 1


def test_one_that_cannot_be_reached_is_asked_twice_more(fleet: Fleet) -> None:
    fleet.only()
    fleet.one.will_refuse()

    answer = fleet.chat(ONE)

    assert (answer.status, answer.headers["x-aurora-attempts"]) == (502, str(1 + MOST_ROUNDS))


def test_a_call_that_nobody_can_take_is_not_sent_for_ever(fleet: Fleet) -> None:
    fleet.one.will_refuse()
    dead = [provider(fleet.one.url, f"dead-{n}") for n in range(MOST_ATTEMPTS + 3)]
    fleet.gateway.publish(*dead)

    answer = fleet.chat(MODEL)

    assert (answer.status, answer.headers["x-aurora-attempts"]) == (502, str(MOST_ATTEMPTS))


def test_one_that_wants_a_second_gets_it(fleet: Fleet) -> None:
    fleet.only()
    fleet.one.will_answer(429, [("retry-after", "1")])

    answer = fleet.chat(ONE)

    assert (answer.status, answer.headers["x-aurora-attempts"]) == (200, "2")
    assert fleet.clock.slept == [1.0]


def test_one_that_wants_longer_is_left_alone_and_the_client_told(fleet: Fleet) -> None:
    fleet.only()
    fleet.one.will_answer(429, BUSY, b'{"error":{"message":"slow"}}')

    answer = fleet.chat(ONE)

    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert len(fleet.one.received) == 1


def test_while_one_wants_to_be_left_alone_the_other_gets_the_calls(fleet: Fleet) -> None:
    fleet.one.will_answer(429, BUSY)

    assert [fleet.chat().status for _ in range(3)] == [200] * 3
    assert fleet.calls == (1, 3)


async def for_ever(seconds: float) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("of_fleet", [{"sleep": for_ever}])
def test_the_client_who_leaves_in_the_pause_ends_it(fleet: Fleet) -> None:
    fleet.only()
    fleet.one.will_answer(429, [("retry-after", "2")], always=True)
    client = fleet.gateway.connect()
    client.send(request("POST", CHAT, msgspec.json.encode({"model": ONE})))
    fleet.one.wait_until_received()
    client.close()

    assert fleet.gateway.record()["reason"] == "the client left"
    assert len(fleet.one.received) == 1


@pytest.mark.parametrize("of_fleet", [{"repeated_share": 0.0}])
def test_with_no_budget_nothing_is_repeated(fleet: Fleet) -> None:
    fleet.one.will_answer(503)

    assert fleet.chat().status == 503
    assert fleet.calls == (1, 0)
