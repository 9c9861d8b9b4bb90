"""Whatever is sent at once, other calls get their turns: no callback of the loop does all of it.

How long a callback takes is compared to what the work itself takes here and now.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import msgspec
import pytest

from bench.callbacks import Callbacks
from gateway import calls
from gateway.offload import INLINE_BYTES, Offload
from tests.mounted import CHAT, MODEL, NO_HURRY, MountedGateway, provider
from tests.patience import PATIENCE_SECONDS
from tests.scripting import chunk_bytes, stream_head

LARGE = replace(NO_HURRY, body_bytes=64 * 2**20)
MIB = 2**20
TEXT = b"\\\\" * (4 * MIB)
"""Of backslashes, each of which is escaped."""
SELECTOR = f"alpha/{MODEL}".encode()
USER = b'"messages":[{"role":"user","content":"%b"}]'
PIECE = {"id": "c", "choices": [{"index": 0, "delta": {"content": " day"}}]}
LAST = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def event(value: object) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


EVENTS = 100_000
END = event(LAST) + b"data: [DONE]\n\n"


@contextmanager
def measured(gateway: MountedGateway) -> Iterator[Callbacks]:
    """The callbacks of the gateway's loop alone."""

    async def thread() -> int:
        return threading.get_ident()

    ident, callbacks = gateway.on_loop(thread()), Callbacks()
    with callbacks.measured(lambda: threading.get_ident() == ident):
        yield callbacks


def seconds_of(work: Callable[[], object]) -> float:
    """Of processor time: the least of three."""

    def once() -> float:
        began = time.thread_time()
        work()
        return time.thread_time() - began

    return min(once() for _ in range(3))


@pytest.mark.parametrize("limits", [LARGE])
@pytest.mark.parametrize(
    ("target", "members"),
    [
        (CHAT, USER % TEXT),
        ("/v1/messages", (USER % TEXT) + b',"max_tokens":9'),
        ("/v1/responses", b'"input":"%b"' % TEXT),
        ("/v1/messages/count_tokens", USER % TEXT),
        ("/v1/embeddings", b'"input":"%b"' % TEXT),
        (f"/p/alpha{CHAT}", USER % TEXT),
    ],
)
def test_a_large_body_is_read_beside_the_loop(gateway, vllm, target, members):
    routes = frozenset({CHAT, "/v1/embeddings", "/tokenize"})
    gateway.publish(provider(vllm.url, routes=routes, max_concurrency=5))
    selector = MODEL.encode() if target.startswith("/p/") else SELECTOR
    body = b'{"model":"%b",%b}' % (selector, members)
    reading = seconds_of(lambda: calls.parse(body))
    with measured(gateway) as callbacks:
        gateway.call("POST", target, body)

    assert vllm.received
    assert callbacks.longest_seconds < reading


@pytest.mark.parametrize("limits", [LARGE])
def test_a_large_answer_is_translated_beside_the_loop(gateway, vllm):
    gateway.publish(provider(vllm.url, routes=frozenset({CHAT})))
    choice = b'{"index":0,"message":{"content":"%b"},"finish_reason":"stop"}' % TEXT
    said = b'{"id":"c","choices":[%b]}' % choice
    reading = seconds_of(lambda: msgspec.json.decode(said))
    vllm.will_answer(200, [("content-type", "application/json")], said)
    with measured(gateway) as callbacks:
        answer = gateway.post("/v1/responses", {"model": SELECTOR.decode(), "input": "Hi"})

    assert answer.status == 200
    assert callbacks.longest_seconds < reading


def test_a_large_event_is_translated_beside_the_loop(gateway, vllm):
    gateway.publish(provider(vllm.url, routes=frozenset({CHAT})))
    large = event(PIECE).replace(b" day", TEXT)
    reading = seconds_of(lambda: msgspec.json.decode(large[6:]))
    vllm.will_stream(large, END)
    with measured(gateway) as callbacks:
        answer = gateway.post(
            "/v1/responses", {"model": SELECTOR.decode(), "input": "Hi", "stream": True}
        )

    assert answer.body.count(b"response.completed")
    assert callbacks.longest_seconds < reading


STREAMED = {"model": SELECTOR.decode(), "stream": True, "max_tokens": 9}


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/responses", {"input": "Hi", "max_tokens": None}),
    ],
)
def test_many_events_at_once_are_translated_in_turns(gateway, vllm, target, asked):
    gateway.publish(provider(vllm.url, routes=frozenset({CHAT})))
    vllm.will_send(stream_head() + chunk_bytes(event(PIECE) * EVENTS + END) + b"0\r\n\r\n")
    with measured(gateway) as callbacks:
        answer = gateway.post(target, {**STREAMED, **asked})

    assert answer.body.count(b" day") >= EVENTS
    assert callbacks.longest_seconds < callbacks.seconds / 45


def test_chunks_of_a_byte_are_handed_on_together(gateway, vllm):
    said = event(PIECE) * 1000 + END
    chunks = b"".join(chunk_bytes(said[at : at + 1]) for at in range(len(said)))
    vllm.will_send(stream_head() + chunks + b"0\r\n\r\n")

    answer = gateway.post(CHAT, {**STREAMED, "messages": []})

    assert answer.body == said
    assert len(answer.chunks) < len(said) / 10


def on_a_loop(work):
    return asyncio.run(asyncio.wait_for(work(), PATIENCE_SECONDS))


def test_large_work_waits_for_what_the_loop_does_meanwhile():
    async def work() -> bool:
        offload, event = Offload(), threading.Event()
        asyncio.get_running_loop().call_soon(event.set)
        return await offload.run(INLINE_BYTES + 1, event.wait, PATIENCE_SECONDS)

    assert on_a_loop(work)


def test_small_work_is_done_at_once():
    async def work() -> bool:
        ident = await Offload().run(INLINE_BYTES, threading.get_ident)
        return ident == threading.get_ident()

    assert on_a_loop(work)


def test_what_is_given_up_has_ended_where_its_outcome_is_looked_at():
    async def work() -> list[str]:
        offload, begun, may_end, done = Offload(), threading.Event(), threading.Event(), []

        def slow() -> None:
            begun.set()
            may_end.wait(PATIENCE_SECONDS)
            done.append("ended")

        running = asyncio.create_task(offload.run_to_the_end(INLINE_BYTES + 1, slow))
        await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
        running.cancel()
        await asyncio.sleep(0)
        may_end.set()
        await asyncio.gather(running, return_exceptions=True)
        return done

    assert on_a_loop(work) == ["ended"]
