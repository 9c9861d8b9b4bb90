"""However often it is cut, the client sees one stream: one text, role, id, finish, usage and end."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamBroke
from gateway.resuming import Sentence
from tests.gateway.pure.resuming.telling import (
    CHAT,
    COMPLETIONS,
    PROMPT_TOKENS,
    WORDS,
    Seen,
    Server,
    call,
)

ABORT = {"index": 0, "delta": {"content": ""}, "finish_reason": "abort"}
ABORTED = b"data: " + json.dumps({"id": "x", "choices": [ABORT]}).encode() + b"\n\n"
ERROR = b'data: {"error": {"message": "EngineCore encountered an issue.", "code": 500}}\n\n'
DONE = b"data: [DONE]\n\n"
ENDS = {"cut": b"", "aborted": ABORTED + DONE, "error": ERROR + DONE, "done too soon": DONE}


def tell(told: Sentence, words: list[str], cuts: list[tuple[float, str, int]]) -> Seen:
    """Stream from one server after the other, each cut where and how `cuts` says; the last is not."""
    body = b""
    for number, cut in zip(count(), [*cuts, None], strict=False):
        told.begin()
        events = b"".join(Server(f"server-{number}", words).stream(told.body(f"m{number}")))
        if cut is not None:
            share, how, _ = cut
            events = _cut(events, share, how)
        size = 7 if cut is None else cut[2]
        for at in range(0, len(events), size):
            body += told.feed(events[at : at + size])
        if told.is_finished:
            return Seen(body + told.end())
        assert told.can_go_on
        if cut is None:
            break
    raise AssertionError("the last server told all")


def _cut(events: bytes, share: float, how: str) -> bytes:
    end = int(len(events) * share)
    if ENDS[how]:  # said between two events
        end = max(events.rfind(b"\n\n", 0, end) + 2, 0) if b"\n\n" in events[:end] else 0
    return events[:end] + ENDS[how]


cuts = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(sorted(ENDS)), st.integers(1, 400)), max_size=4
)
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14)


@given(words, cuts, st.sampled_from([CHAT, COMPLETIONS]), st.booleans(), st.booleans())
def test_the_client_sees_one_stream(
    words: list[str], cuts: Any, path: str, wants_usage: bool, throughout: bool
) -> None:
    options = {"include_usage": wants_usage, "continuous_usage_stats": throughout}
    told = call(path, stream_options=options, max_tokens=1000)
    assert told is not None

    seen = tell(told, words, cuts)

    assert seen.text == "".join(words)
    assert seen.body.endswith(DONE)
    assert seen.body.count(DONE) == 1
    assert len({chunk["id"] for chunk in seen.chunks}) == 1
    assert len({chunk["model"] for chunk in seen.chunks}) == 1
    roles = [choice for choice in seen.choices if choice.get("delta", {}).get("role")]
    assert len(roles) == (path == CHAT)
    finishes = [choice["finish_reason"] for choice in seen.choices if choice["finish_reason"]]
    assert finishes == ["stop"]
    _check_usage(seen, len(words), wants_usage, throughout and wants_usage)


def _check_usage(seen: Seen, tokens: int, wanted: bool, throughout: bool) -> None:
    with_choices = [chunk for chunk in seen.chunks if chunk["choices"]]
    assert all(("usage" in chunk) == throughout for chunk in with_choices)
    last = [chunk["usage"] for chunk in seen.chunks if not chunk["choices"]]
    assert len(last) == wanted
    for usage in last:
        assert usage["prompt_tokens"] == PROMPT_TOKENS
        assert usage["completion_tokens"] >= tokens
        assert usage["total_tokens"] == PROMPT_TOKENS + usage["completion_tokens"]


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_between_events_no_token_is_counted_twice(path: str) -> None:
    told = call(path, stream_options={"include_usage": True})
    assert told is not None
    seen = tell(told, WORDS, [(0.4, "aborted", 50), (0.6, "error", 50)])

    assert seen.chunks[-1]["usage"]["completion_tokens"] == len(WORDS)


def test_what_the_client_did_not_ask_for_does_not_reach_it() -> None:
    told = call()
    assert told is not None
    told.begin()
    asked = json.loads(told.body("m"))
    assert asked["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}

    body = told.feed(b"".join(Server("s", WORDS).stream(told.body("m"))))

    assert b"usage" not in body
    assert Seen(body).text == "".join(WORDS)


def test_a_limit_holds_over_all_servers() -> None:
    told = call(max_tokens=5, min_tokens=4, stream_options={"include_usage": True})
    assert told is not None
    told.begin()
    events = Server("one", WORDS).stream(told.body("m"))
    body = told.feed(b"".join(events[:4]))  # the role, and three words
    told.begin()

    asked = json.loads(told.body("m"))
    assert (asked["max_tokens"], asked["min_tokens"]) == (2, 1)
    body += told.feed(b"".join(Server("two", WORDS).stream(told.body("m"))))

    seen = Seen(body)
    assert seen.text == "".join(WORDS[:5])
    assert seen.choices[-1]["finish_reason"] == "length"
    assert seen.chunks[-1]["usage"]["completion_tokens"] == 5


def test_a_completion_that_names_no_limit_keeps_vllms() -> None:
    told = call(COMPLETIONS)
    assert told is not None
    told.begin()
    told.feed(b"".join(Server("one", WORDS).stream(told.body("m"))[:3]))
    told.begin()

    assert json.loads(told.body("m"))["max_tokens"] == 13


def test_behind_the_last_token_the_end_is_said_without_a_server() -> None:
    told = call(max_tokens=3, stream_options={"include_usage": True})
    assert told is not None
    told.begin()
    events = Server("one", WORDS).stream(told.body("m"))
    events[3] = events[3].replace(b'"length"', b"null")
    body = told.feed(b"".join(events[:4]))

    assert told.is_finished
    assert not told.can_go_on
    seen = Seen(body + told.end())
    assert [choice["finish_reason"] for choice in seen.choices][-1] == "length"
    assert seen.chunks[-1]["usage"]["completion_tokens"] == 3
    assert seen.body.endswith(DONE)
    assert told.end() == b""


def test_of_a_finished_text_only_the_end_is_missing() -> None:
    told = call()
    assert told is not None
    told.begin()
    body = told.feed(b"".join(Server("one", WORDS).stream(told.body("m"))[:-2]))

    assert told.is_finished
    assert told.end() == DONE
    assert Seen(body).choices[-1]["finish_reason"] == "stop"


def test_a_message_to_go_on_with_is_gone_on_with() -> None:
    messages = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": "Once"}]
    told = call(messages=messages, continue_final_message=True, add_generation_prompt=False)
    assert told is not None
    told.begin()
    assert json.loads(told.body("m"))["messages"] == messages
    told.feed(Server("s", WORDS)._chunk({"content": " upon"}, None, 1, {}))
    told.begin()

    asked = json.loads(told.body("m"))
    assert asked["messages"] == [messages[0], {"role": "assistant", "content": "Once upon"}]


BEYOND = {
    "a tool call": {"tool_calls": [{"index": 0}]},
    "a function call": {"function_call": {"name": "f"}},
    "reasoning": {"reasoning": "Hm."},
    "reasoning of older servers": {"reasoning_content": "Hm."},
    "a refusal": {"refusal": "No."},
}


@pytest.mark.parametrize("case", BEYOND)
def test_what_cannot_be_gone_on_with_goes_out_and_is_not_gone_on_with(case: str) -> None:
    told = call()
    assert told is not None
    told.begin()
    event = Server("s", WORDS)._chunk(BEYOND[case], None, 1, {})

    assert Seen(told.feed(event)).choices[0]["delta"] == BEYOND[case]
    assert not told.can_go_on


@pytest.mark.parametrize("how", ["aborted", "error", "done too soon"])
def test_nothing_of_a_stopped_server_goes_out(how: str) -> None:
    told = call()
    assert told is not None
    told.begin()
    assert told.feed(ENDS[how]) == b""
    assert told.is_over
    assert told.can_go_on
    assert told.end() == b""


def test_a_text_too_long_to_be_held_is_not_gone_on_with() -> None:
    told = call()
    assert told is not None
    told.begin()
    for _ in range(5):
        told.feed(Server("s", WORDS)._chunk({"content": "x" * 2**20}, None, 1, {}))

    assert not told.can_go_on
    assert len(told.body("m")) < 2**20


def test_where_nobody_goes_on_the_client_is_told() -> None:
    told = call()
    assert told is not None

    assert told.broken(UpstreamBroke("It broke.")).startswith(
        b'data: {"error":{"message":"It broke."'
    )


@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from(
            [
                ERROR,
                DONE,
                b"data: {}\n\n",
                b'data: {"choices":[]}\n\n',
                b'data: {"choices":[1]}\n\n',
            ]
        )
    )
)
def test_no_bytes_of_a_server_make_it_raise(pieces: list[bytes]) -> None:
    told = call()
    assert told is not None
    told.begin()
    for piece in pieces:
        told.feed(piece)
    told.end()
