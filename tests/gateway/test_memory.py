"""What calls hold is bounded in bytes, and given back however they end."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from gateway.errors import BodyTooLarge, MemoryFull
from gateway.memory import BODY_COPIES, FREE_BYTES, Charge, Memory
from tests.mounted import CHAT, MODEL, NO_HURRY, chat, error_of, provider, request
from tests.processes import eventually
from tests.scripting import chunk_bytes, stream_head

MIB = 2**20
MOST = 8 * MIB


@pytest.fixture
def memory() -> Memory:
    return Memory(MOST)


@pytest.fixture
def limits(memory):
    return replace(NO_HURRY, body_bytes=64 * MIB, memory=memory)


def body_of(size: int) -> bytes:
    return chat(user="a" * size)


def is_all_given_back(memory: Memory) -> bool:
    return eventually(lambda: memory.used_bytes == 0)


def test_a_body_that_could_never_fit_is_refused_before_it_is_read(gateway, vllm, memory):
    client = gateway.connect()
    whole = request("POST", CHAT, body_of(MOST))
    client.send(whole[: whole.index(b"\r\n\r\n") + 4])

    answer = client.read_answer()

    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")
    assert vllm.received == []
    assert is_all_given_back(memory)


def test_a_body_of_unknown_length_is_refused_as_it_grows(gateway, vllm, memory):
    client = gateway.connect()
    head = request("POST", CHAT, b"").replace(
        b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    client.send(head.replace(b"content-length: 0\r\n", b"").replace(b"Content-Length: 0\r\n", b""))
    client.send(b"".join(chunk_bytes(b" " * MIB) for _ in range(4)))

    answer = client.read_answer()

    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")
    assert is_all_given_back(memory)


def test_while_others_hold_all_a_call_is_to_come_again(gateway, vllm, memory):
    vllm.will_stall()
    first = gateway.connect()
    first.send(request("POST", CHAT, body_of(2 * MIB)))
    vllm.wait_until_received(1)
    client = gateway.connect()
    whole = request("POST", CHAT, body_of(2 * MIB))
    client.send(whole[: whole.index(b"\r\n\r\n") + 4])

    answer = client.read_answer()

    assert (answer.status, error_of(answer)["code"]) == (503, "memory_full")
    assert answer.headers["retry-after"] == "1"
    assert gateway.call("POST", CHAT, chat()).status == 200  # small calls go on
    first.close()
    assert is_all_given_back(memory)
    assert gateway.call("POST", CHAT, body_of(2 * MIB)).status == 200


def test_a_body_is_given_back_once_its_answer_begins(gateway, vllm, memory):
    vllm.will_stream(b"data: {}\n\n", b"data: {}\n\n", held_after=1)
    client = gateway.connect()
    client.send(request("POST", CHAT, body_of(2 * MIB)))
    client.read_head()

    assert is_all_given_back(memory)
    vllm.go_on()


def test_a_packed_body_counts_as_it_is_unpacked(gateway, vllm, memory):
    packed = gzip.compress(body_of(MOST))

    answer = gateway.call("POST", CHAT, packed, [("Content-Encoding", "gzip")])

    assert len(packed) < FREE_BYTES
    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")
    assert is_all_given_back(memory)


def test_an_answer_that_is_read_whole_counts(gateway, vllm, memory):
    gateway.publish(provider(vllm.url, routes=frozenset({CHAT})))
    said = b'{"choices":[{"index":0,"message":{"content":"%b"}}]}' % (b"a" * MOST)
    vllm.will_answer(200, [("content-type", "application/json")], said)

    answer = gateway.post("/v1/responses", {"model": f"alpha/{MODEL}", "input": "Hi"})

    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")
    assert is_all_given_back(memory)


def test_a_stream_that_would_hold_too_much_ends_with_an_error(gateway, vllm, memory):
    gateway.publish(provider(vllm.url, routes=frozenset({CHAT})))
    piece = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    endless = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"a" * (MOST + MIB)
    vllm.will_send(stream_head() + chunk_bytes(piece) + chunk_bytes(endless))
    asked = {"model": f"alpha/{MODEL}", "input": "Hi", "stream": True}

    answer = gateway.post("/v1/responses", asked)

    assert b"event: response.failed" in answer.body
    assert is_all_given_back(memory)


def test_what_is_refused_changes_nothing():
    memory = Memory(MOST)
    held, other = Charge(memory), Charge(memory)
    held.hold_body(2 * MIB)
    with pytest.raises(MemoryFull):
        other.hold_body(MIB)
    with pytest.raises(BodyTooLarge):
        other.hold_answer(MOST + 1)
    with pytest.raises(BodyTooLarge):
        held.hold_body(MOST)
    assert memory.used_bytes == 2 * MIB * BODY_COPIES
    held.free()
    other.free()
    assert memory.used_bytes == 0


def test_what_is_small_is_not_counted():
    memory = Memory(0)
    charge = Charge(memory)
    charge.hold_body(FREE_BYTES)
    charge.hold_answer(FREE_BYTES)
    assert memory.used_bytes == 0
