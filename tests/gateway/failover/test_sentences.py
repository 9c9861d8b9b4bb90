"""A server dies within a stream: for an alias that finishes sentences, another goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.failover import MOST_RESUMED, MOST_SENT
from gateway.fleet.breaker import FIRST_OPEN_SECONDS, MOST_IN_A_ROW
from providers.snapshot import AliasEntry, TargetEntry
from tests.gateway.failover.conftest import NAME, Fleet
from tests.gateway.pure.resuming.telling import WORDS, Seen, Server
from tests.mounted import CHAT, MASTER_KEY, MODEL, NO_HURRY, UNHURRIED, provider, request
from tests.raw_http import Answer
from tests.scripted_vllm import Received, ScriptedVllm
from tests.scripting import LAST_CHUNK, Script, chunk_bytes, json_answer, stream_head

STOPS = {
    "it is cut": (b"", "close"),
    "it is reset": (b"", "reset"),
    "its engine died": (b'data: {"error": {"message": "EngineCore"}}\n\ndata: [DONE]\n\n', "keep"),
    "it was stopped": (
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":""},'
        b'"finish_reason":"abort"}]}\n\ndata: [DONE]\n\n',
        "keep",
    ),
}


@pytest.fixture
def finishing(fleet: Fleet) -> Fleet:
    fleet.publish(alias={"resumes": True})
    return fleet


def tells(server: ScriptedVllm, name: str, *, until: int | None = None, how: str = "") -> None:
    """It tells the words as vLLM does; of each answer only so many events, if it is to stop."""

    def answer(call: Received) -> Script:
        events = Server(name, WORDS).stream(call.body)
        if until is None:
            return Script((stream_head(), *map(chunk_bytes, events), LAST_CHUNK))
        last, then = STOPS[how]
        told = [*events[:until], last] if last else events[:until]
        end = (LAST_CHUNK,) if then == "keep" else ()
        writes = (stream_head(), *map(chunk_bytes, told), *end)
        return Script(writes, then, pause_seconds=0.01)  # type: ignore[arg-type]

    server.answers = answer


def stream(fleet: Fleet, **members: Any) -> Answer:
    return fleet.chat(stream=True, messages=[{"role": "user", "content": "Go."}], **members)


@pytest.mark.parametrize("how", STOPS)
def test_another_server_finishes_the_sentence(finishing: Fleet, how: str) -> None:
    tells(finishing.one, "one", until=5, how=how)
    tells(finishing.two, "two")

    answer = stream(finishing, stream_options={"include_usage": True})

    seen = Seen(answer.body)
    assert answer.status == 200
    assert seen.text == "".join(WORDS)
    assert {chunk["id"] for chunk in seen.chunks} == {"chatcmpl-one"}
    assert seen.chunks[-1]["usage"]["completion_tokens"] == len(WORDS)
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert finishing.calls == (1, 1)
    asked = finishing.two.received[0].json
    assert asked["continue_final_message"] is True
    assert asked["messages"][-1] == {"role": "assistant", "content": "".join(WORDS[:4])}
    record = finishing.gateway.record()
    assert (record["attempts"], record["provider"]) == (2, "two")
    assert "reason" not in record


def test_a_server_that_fails_before_its_first_byte_is_passed_over(finishing: Fleet) -> None:
    finishing.one.will_answer(503)
    tells(finishing.two, "two")

    assert Seen(stream(finishing).body).text == "".join(WORDS)


@pytest.fixture
def many(finishing: Fleet) -> Iterator[list[ScriptedVllm]]:
    """Six servers of the alias."""
    with ExitStack() as stack:
        more = [stack.enter_context(ScriptedVllm()) for _ in range(4)]
        servers = [finishing.one, finishing.two, *more]
        entries = [provider(server.url, f"s{n}") for n, server in enumerate(servers)]
        alias = AliasEntry(NAME, ((TargetEntry("", MODEL),),), resumes=True)
        finishing.gateway.publish(*entries, aliases=[alias])
        yield servers


def tells_once(server: ScriptedVllm, how: str) -> None:
    """It stops within its first answer, and is not there for another."""
    tells(server, "x", until=3, how=how)
    begun = server.answers
    assert begun is not None

    def ends(call: Received) -> Script | None:
        server.answers = lambda _: Script((json_answer(503, {}),))
        return begun(call)

    server.answers = ends


def test_a_stream_outlives_servers_that_are_stopped_one_after_the_other(
    finishing: Fleet, many: list[ScriptedVllm]
) -> None:
    for server in many:
        tells_once(server, "it was stopped")

    answer = stream(finishing)

    assert Seen(answer.body).text == "".join(WORDS)
    assert [len(server.received) for server in many] == [1] * len(many)


def test_a_call_that_brings_down_whoever_tells_it_does_so_to_no_more_than_three(
    finishing: Fleet, many: list[ScriptedVllm]
) -> None:
    for server in many:
        tells_once(server, "it is cut")

    answer = stream(finishing)

    assert b'data: {"error"' in answer.body
    assert sum(map(len, (server.received for server in many))) == MOST_SENT


def test_the_one_that_goes_on_may_die_too(finishing: Fleet) -> None:
    tells(finishing.one, "one", until=3, how="it is cut")
    tells(finishing.two, "two", until=3, how="it is cut")

    answer = stream(finishing)

    assert Seen(answer.body).text == "".join(WORDS)
    assert finishing.gateway.record()["attempts"] > 4


ERROR_FIRST = (stream_head(), chunk_bytes(STOPS["its engine died"][0]))


def test_one_that_fails_at_once_and_then_is_silent_is_not_waited_for(finishing: Fleet) -> None:
    tells(finishing.one, "one", until=3, how="it is cut")
    tells(finishing.two, "two", until=3, how="it is cut")
    begun = finishing.two.answers

    def stalls(call: Received) -> Script | None:
        tells(finishing.two, "two")
        finishing.one.answers = lambda _: Script(ERROR_FIRST, "stall")
        assert begun is not None
        return begun(call)

    finishing.two.answers = stalls

    answer = stream(finishing)

    assert Seen(answer.body).text == "".join(WORDS)


def test_a_trial_that_fails_with_its_first_event_has_failed(finishing: Fleet) -> None:
    finishing.two.answers = lambda _: Script((json_answer(503, {}),))
    for _ in range(MOST_IN_A_ROW):
        finishing.chat(f"two/{MODEL}")
    finishing.clock.seconds += FIRST_OPEN_SECONDS * 1.25
    before = len(finishing.two.received)
    finishing.two.answers = lambda _: Script((*ERROR_FIRST, LAST_CHUNK))
    tells(finishing.one, "one", until=3, how="it is cut")

    stream(finishing)

    assert len(finishing.two.received) == before + 1


def test_it_is_finished_by_so_many_servers_and_no_more(finishing: Fleet) -> None:
    """Each tells one word and dies."""
    for name, server in (("one", finishing.one), ("two", finishing.two)):
        tells(server, name, until=2, how="it is cut")

    body = stream(finishing).body

    assert Seen(body[: body.index(b'data: {"error"')]).text == "".join(WORDS[: 1 + MOST_RESUMED])
    assert finishing.gateway.record()["attempts"] == 1 + MOST_RESUMED


@pytest.mark.parametrize("limits", [replace(NO_HURRY, ping_seconds=0.05)])
def test_who_waits_for_the_next_to_begin_hears_that_it_goes_on(finishing: Fleet) -> None:
    """It reads the whole prompt and the text so far before it says anything."""
    tells(finishing.one, "one", until=3, how="it is cut")
    finishing.two.answers = lambda _: Script((stream_head(),), "stall")
    client = finishing.gateway.connect()
    body = {"model": NAME, "stream": True, "messages": [{"role": "user", "content": "Go."}]}
    client.send(request("POST", CHAT, msgspec.json.encode(body)))
    client.read_head()
    finishing.two.wait_until_received()

    heard = b""
    while heard.count(b": keep-alive\n\n") < 2:
        heard += client.read_chunk()

    assert Seen(heard).text == "".join(WORDS[:2])
    client.close()


@pytest.mark.parametrize("limits", [replace(NO_HURRY, ping_seconds=0.05)])
def test_nor_is_silent_who_waits_in_line_for_it(fleet: Fleet) -> None:
    two = provider(fleet.two.url, "two", max_concurrency=1)
    tiers = tuple((TargetEntry(name, MODEL),) for name in ("one", "two"))
    fleet.gateway.publish(
        fleet.entries["one"], two, aliases=[AliasEntry(NAME, tiers, resumes=True)]
    )
    fleet.two.will_stall()
    held, client = fleet.gateway.connect(), fleet.gateway.connect()
    held.send(request("POST", CHAT, msgspec.json.encode({"model": f"two/{MODEL}"})))
    fleet.two.wait_until_received()
    tells(fleet.one, "one", until=3, how="it is cut")

    body = {"model": NAME, "stream": True, "messages": [{"role": "user", "content": "Go."}]}
    client.send(request("POST", CHAT, msgspec.json.encode(body)))
    client.read_head()
    heard = b""
    while heard.count(b": keep-alive\n\n") < 2:
        heard += client.read_chunk()

    assert len(fleet.two.received) == 1
    client.close()
    held.close()


def test_one_that_refuses_to_go_on_is_passed_over(finishing: Fleet) -> None:
    tells(finishing.one, "one", until=3, how="it is cut")
    finishing.two.will_answer_json(400, {"error": {"message": "No template for that."}})
    tells(finishing.two, "two")

    answer = stream(finishing)

    assert Seen(answer.body).text == "".join(WORDS)


def test_where_nobody_can_the_stream_ends_with_the_error(finishing: Fleet) -> None:
    tells(finishing.one, "one", until=3, how="it is cut")
    finishing.two.will_refuse()
    finishing.publish(alias={"resumes": True}, draining=False)

    def dies(call: Received) -> Script:
        finishing.one.answers = None
        finishing.one.will_answer(503, always=True)
        events = Server("one", WORDS).stream(call.body)
        return Script((stream_head(), *map(chunk_bytes, events[:3])), "close")

    finishing.one.answers = dies
    answer = stream(finishing)

    assert answer.status == 200
    body = answer.body
    assert Seen(body[: body.index(b'data: {"error"')]).text == "".join(WORDS[:2])
    assert body.count(b'data: {"error"') == 1
    assert not body.endswith(b"data: [DONE]\n\n")
    assert finishing.gateway.record()["reason"].startswith("upstream_broke")


@pytest.mark.parametrize(
    "members",
    [{"tools": [{"type": "function"}]}, {"n": 2}, {"logprobs": True}],
    ids=["tools", "two choices", "log probabilities"],
)
def test_what_cannot_be_finished_faithfully_ends_as_before(
    finishing: Fleet, members: dict[str, Any]
) -> None:
    tells(finishing.one, "one", until=3, how="it is cut")

    answer = stream(finishing, **members)

    assert b'data: {"error"' in answer.body
    assert finishing.calls == (1, 0)
    assert finishing.one.received[0].json == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Go."}],
        "stream": True,
        **members,
    }


def test_without_the_alias_it_is_not_done(fleet: Fleet) -> None:
    tells(fleet.one, "one", until=3, how="it is cut")

    assert b'data: {"error"' in stream(fleet).body
    assert fleet.calls == (1, 0)


def test_the_client_who_leaves_while_another_is_asked_ends_it(finishing: Fleet) -> None:
    tells(finishing.one, "one", until=3, how="it is cut")
    finishing.two.will_stall()
    client = finishing.gateway.connect()
    body = b'{"model":"%s","stream":true,"messages":[{"role":"user","content":"Go."}]}'
    client.send(request("POST", "/v1/chat/completions", body % NAME.encode(), key=MASTER_KEY))
    finishing.two.wait_until_received()
    client.close()

    finishing.two.wait_until_left()
    assert finishing.gateway.record()["reason"] == "the client left"


@pytest.mark.parametrize("options", [{"waits": replace(UNHURRIED, drain_seconds=0.1)}])
def test_a_client_that_goes_with_its_whole_answer_has_not_left_it(finishing: Fleet) -> None:
    """Its server may still be about to end a stream that has said all."""
    events = Server("one", WORDS).stream(b'{"messages":[{"role":"user"}]}')
    finishing.one.will_stall(after_chunks=events)

    answer = stream(finishing)

    assert Seen(answer.body).text == "".join(WORDS)
    assert "reason" not in finishing.gateway.record()


@pytest.mark.parametrize("why", ["the others fail", "the alias is gone"])
def test_where_nobody_may_go_on_the_stream_ends_with_the_error(finishing: Fleet, why: str) -> None:
    """What is wrong with the others is no reason to cut the connection."""

    def dies(call: Received) -> Script:
        if why == "the others fail":
            finishing.publish(alias={"resumes": True}, draining=True)
            finishing.two.will_answer(503, always=True)
        else:
            finishing.gateway.publish()
        events = Server("one", WORDS).stream(call.body)
        writes = (stream_head(), *map(chunk_bytes, events[:3]))
        return Script(writes, "close", pause_seconds=0.01)

    finishing.one.answers = dies

    body = stream(finishing).body

    assert Seen(body[: body.index(b'data: {"error"')]).text == "".join(WORDS[:2])
    assert body.count(b'data: {"error"') == 1
    assert finishing.gateway.record()["reason"].startswith("upstream_broke")


def test_a_stop_ends_a_sentence_that_waits_for_another_server(finishing: Fleet) -> None:
    tells(finishing.one, "one", until=5, how="it is cut")
    finishing.two.will_stall()
    client = finishing.gateway.connect()
    body = {"model": NAME, "messages": [{"role": "user", "content": "Go."}], "stream": True}
    client.send(request("POST", CHAT, msgspec.json.encode(body)))
    client.read_head()
    finishing.two.wait_until_received()

    finishing.gateway.stop()

    told = b"".join(iter(client.read_chunk, b""))
    assert msgspec.json.decode(told.split(b"data: ")[-1])["error"]["code"] == "stopping"
