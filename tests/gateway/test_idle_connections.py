"""Each answer reaches the call that it answers: what a server sends besides is nobody's, and ends
its connection. Connections without such bytes are kept."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.upstream import Door, Outgoing
from providers.snapshot import ProviderEntry
from tests.gateway.raw_upstream import RawUpstream
from tests.mounted import CHAT, chat, provider, request
from tests.patience import PATIENCE_SECONDS
from tests.processes import eventually
from tests.scripting import LAST_CHUNK, answer, chunk_bytes, head_bytes, json_answer, stream_head

OURS, OTHERS = {"whose": "the first caller's"}, {"whose": "nobody's"}
SECOND = json_answer(200, OTHERS)
STRAY = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"
OF_LENGTH = json_answer(200, OURS)
CHUNKED = (
    head_bytes(200, [("content-type", "application/json"), ("transfer-encoding", "chunked")])
    + chunk_bytes(b'{"whose":"the first caller\'s"}')
    + LAST_CHUNK
)
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
NONE_YET = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
SURPLUS = {
    "a second answer": SECOND,
    "a 408": STRAY,
    "half a status line": b"HTTP/1.1 4",
    "half a head": SECOND[:40],
    "no HTTP": b'{"whose":"nobody\'s"}',
    "an interim answer": INTERIM,
    "a chunk": chunk_bytes(b"surplus") + LAST_CHUNK,
}


def asked_twice(gateway, vllm):
    """The first answer of two calls, one after the other; the second call gets its own."""
    first = gateway.call("POST", CHAT, chat())
    vllm.will_send(json_answer(200, {"whose": "the second caller's"}))
    second = gateway.call("POST", CHAT, chat())
    assert second.json == {"whose": "the second caller's"}
    return first


@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
@pytest.mark.parametrize(
    "given", [OF_LENGTH, CHUNKED, NONE_YET, EMPTY, INTERIM + OF_LENGTH],
    ids=["of a length", "chunked", "empty", "204", "behind an interim answer"],
)  # fmt: skip
def test_what_comes_with_the_end_of_an_answer_is_nobodys(gateway, vllm, given, surplus):
    vllm.will_send(given + surplus)
    first = asked_twice(gateway, vllm)

    assert first.status in (200, 204)
    assert b"nobody" not in first.body
    assert [call.connection for call in vllm.received] == [1, 2]


@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
def test_what_comes_while_a_connection_is_idle_ends_it(gateway, vllm, surplus):
    vllm.will_send(OF_LENGTH, surplus, held_after=1)
    assert gateway.call("POST", CHAT, chat()).json == OURS
    vllm.go_on()
    eventually(lambda: not vllm.connections)
    vllm.will_send(json_answer(200, {"whose": "the second caller's"}))

    assert gateway.call("POST", CHAT, chat()).json == {"whose": "the second caller's"}
    assert [call.connection for call in vllm.received] == [1, 2]


@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
@pytest.mark.parametrize("left", [1, 3, 7, 20, len(CHUNKED) - 1])
@pytest.mark.parametrize("given", [OF_LENGTH, CHUNKED], ids=["of a length", "chunked"])
def test_an_answer_that_came_in_pieces_takes_none_of_the_surplus(
    gateway, vllm, given, left, surplus
):
    vllm.will_send(given[:-left], given[-left:] + surplus, pause_seconds=0.02)

    assert asked_twice(gateway, vllm).json == OURS
    assert [call.connection for call in vllm.received] == [1, 2]


PLAIN = {
    "of a length": OF_LENGTH,
    "chunked": CHUNKED,
    "204": EMPTY,
    "behind interim answers": INTERIM + INTERIM + OF_LENGTH,
    "an error": json_answer(400, {"error": {"message": "no"}}),
    "large": answer(200, [("content-type", "text/plain")], b"x" * 2_000_000),
    "a stream": stream_head() + chunk_bytes(b"data: 1\r\n\r\n") * 9 + LAST_CHUNK,
}


@pytest.mark.parametrize("given", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("size", [None, 7], ids=["at once", "in pieces"])
def test_ordinary_connections_are_used_again(gateway, vllm, given, size):
    pieces = [given] if size is None else _pieces(given, max(size, len(given) // 20))
    for _ in range(3):
        vllm.will_send(*pieces)
        gateway.call("POST", CHAT, chat())

    assert {call.connection for call in vllm.received} == {1}


def _pieces(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_what_came_before_the_loop_could_read_it_is_nobodys_either(gateway):
    """The system has the bytes already when the connection is to be used again."""
    with RawUpstream() as upstream, ThreadPoolExecutor(1) as elsewhere:
        entry = provider(upstream.url)
        first = elsewhere.submit(lambda: gateway.on_loop(asked(gateway._door, entry)))
        upstream.read_call()
        upstream.send(OF_LENGTH)
        assert first.result(PATIENCE_SECONDS) == (
            200,
            json.dumps(OURS, separators=(",", ":")).encode(),
        )

        async def behind_a_stray() -> tuple[int, bytes]:
            upstream.send(STRAY)
            return await asked(gateway._door, entry)

        second = elsewhere.submit(lambda: gateway.on_loop(behind_a_stray()))
        assert upstream.left()
        upstream.accept()
        upstream.read_call()
        upstream.send(json_answer(200, {}))
        assert second.result(PATIENCE_SECONDS) == (200, b"{}")


@pytest.mark.parametrize("then", ["at once", "later"])
def test_a_body_behind_the_answer_to_head_is_nobodys(gateway, then):
    with RawUpstream() as upstream, ThreadPoolExecutor(1) as elsewhere:
        entry = provider(upstream.url)
        first = elsewhere.submit(lambda: gateway.on_loop(asked(gateway._door, entry, "HEAD")))
        upstream.read_head()
        head, body = OF_LENGTH.split(b"\r\n\r\n")
        upstream.send(head + b"\r\n\r\n" + (body if then == "at once" else b""))
        assert first.result(PATIENCE_SECONDS) == (200, b"")
        assert upstream.left()


@pytest.mark.parametrize("length", [b"content-length: 5", b"transfer-encoding: chunked"])
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_connection_whose_answer_promises_a_body_that_cannot_be_is_not_kept(
    gateway, status, length
):
    with RawUpstream() as upstream, ThreadPoolExecutor(1) as elsewhere:
        entry = provider(upstream.url)
        first = elsewhere.submit(lambda: gateway.on_loop(asked(gateway._door, entry)))
        upstream.read_call()
        upstream.send(b"HTTP/1.1 %b\r\n%b\r\n\r\n" % (status, length))
        assert first.result(PATIENCE_SECONDS) == (int(status[:3]), b"")
        assert upstream.left()


def test_an_answer_before_the_request_was_wholly_sent_ends_the_connection(gateway):
    """What is missing of the request would stand before the next one."""
    with RawUpstream() as upstream:
        gateway.publish(provider(upstream.url))
        client = gateway.connect()
        whole = request("POST", "/p/alpha/tokenize", b'{"prompt":"%b"}' % (b"x" * 1000))
        client.send(whole[:-100])
        upstream.read_head()
        upstream.send(json_answer(413, {"error": {"message": "too long"}}))

        assert client.read_answer().status == 413
        assert upstream.left()


async def asked(door: Door, entry: ProviderEntry, method: str = "POST") -> tuple[int, bytes]:
    going = Outgoing(entry, method, CHAT, [], b"{}" if method == "POST" else b"")
    async with await door.send(going) as given:
        return given.status, b"".join([piece async for piece in given.pieces()])
