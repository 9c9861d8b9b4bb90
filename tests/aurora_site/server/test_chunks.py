"""A chunked body, cut anywhere, and what its chunks may cost."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_site.server.chunks import (
    BYTES_A_CHUNK,
    FREE_CHUNKS,
    FREE_EXTENSION_BYTES,
    MOST_TRAILER_BYTES,
    BadChunks,
    ChunkedBody,
)
from aurora_site.server.connection import FREE_READS, LEAST_READ_BYTES, REST_SECONDS
from tests.aurora_site.server.apps import (
    MIB,
    POST,
    Told,
    answer,
    echo,
    waits_for_disconnect,
)
from tests.aurora_site.server.client import Client

CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
READ_BYTES = 64 * 1024


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


class Decoded:
    """What a decoder gave of `data`, which came in pieces of `sizes` bytes."""

    def __init__(self, data: bytes, sizes: list[int] | None = None) -> None:
        self.pieces: list[bytes] = []
        self.rest: bytes | None = None
        decoder = ChunkedBody(self.pieces.append, self._ended)
        self.reads = 0
        for size in sizes or []:
            if data and self.rest is None:
                decoder.dataReceived(data[:size])
                data, self.reads = data[size:], self.reads + 1
        while data and self.rest is None:
            decoder.dataReceived(data[:READ_BYTES])
            data, self.reads = data[READ_BYTES:], self.reads + 1
        if self.rest is not None:
            self.rest += data

    def _ended(self, rest: bytes) -> None:
        assert self.rest is None
        self.rest = rest

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


pieces = st.lists(
    st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from([b"", b";", b";a=1;b"])),
    max_size=20,
)
trailers = st.sampled_from([b"", b"X-One: 1\r\n", b"X-One: 1\r\nX-Two: \xc3\xbc\r\n"])
cuts = st.lists(st.integers(1, 7), max_size=400)


@given(pieces, trailers, cuts, st.sampled_from([b"", b"GET / HTTP/1.1\r\n"]))
def test_a_body_is_the_same_wherever_it_is_cut(pieces, trailers, cuts, behind):
    sent = b"".join(chunk(*each) for each in pieces) + b"0\r\n" + trailers + b"\r\n" + behind

    decoded = Decoded(sent, cuts)

    assert decoded.body == b"".join(data for data, _ in pieces)
    assert decoded.rest == behind


@given(st.binary(max_size=60), cuts)
def test_whatever_comes_is_read_or_refused(data, cuts):
    try:
        decoded = Decoded(data, cuts)
    except BadChunks:
        return
    assert len(decoded.body) <= len(data)


MALFORMED = {
    "no size": b"\r\n",
    "a sign": b"+1\r\na\r\n",
    "a prefix": b"0x1\r\na\r\n",
    "an underscore": b"1_0\r\n",
    "a blank": b"1 \r\na\r\n",
    "a size of 17 digits": b"00000000000000001\r\na\r\n",
    "a bare line feed": b"1\na\r\n",
    "a chunk too long": b"1\r\nab\r\n",
    "a chunk without its end": b"1\r\na\n\r",
    "a line without end": b"1;" + b"a" * 1100,
    "a control character in an extension": b"1;a=\x00\r\na\r\n",
    "a bare carriage return in an extension": b"1;a\rb\r\na\r\n",
    "a control character in a trailer": b"0\r\nA: \x00\r\n\r\n",
    "a bare line feed in a trailer": b"0\r\nA: b\nC: d\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("sizes", [None, [1] * 1200], ids=["at once", "byte by byte"])
def test_what_could_be_read_in_two_ways_is_refused(data, sizes):
    with pytest.raises(BadChunks):
        Decoded(data, sizes)


def test_all_that_one_read_holds_comes_in_one_piece():
    decoded = Decoded(chunk(b"a") * 4000 + LAST)

    assert decoded.body == b"a" * 4000
    assert len(decoded.pieces) == decoded.reads


def test_small_chunks_are_bounded_and_larger_ones_pay_for_them():
    few = chunk(b"a") * FREE_CHUNKS
    assert Decoded(few + LAST).rest == b""
    assert Decoded(few + chunk(b"a" * BYTES_A_CHUNK) * 4000 + LAST).rest == b""
    assert Decoded(chunk(bytes(MIB)) + few * 4 + LAST).rest == b""
    with pytest.raises(BadChunks, match="too small"):
        Decoded(chunk(b"a") * (2 * FREE_CHUNKS))


def test_live_sound_may_come_in_small_chunks_for_hours():
    frame = chunk(bytes(40))

    assert Decoded(frame * 10 * FREE_CHUNKS + LAST, [len(frame)] * 10 * FREE_CHUNKS).rest == b""


def test_extensions_are_bounded_and_signatures_of_chunks_are_taken():
    signature = b";chunk-signature=" + b"0" * 64
    assert Decoded(chunk(bytes(8192), signature) * 1024 + LAST).rest == b""
    with pytest.raises(BadChunks, match="extensions"):
        Decoded(chunk(b"a", b";" + b"a" * 1000) * (FREE_EXTENSION_BYTES // 1000 + 1))


@pytest.mark.parametrize("line", [b"A: b\r\n", b"A: " + b"b" * 5000 + b"\r\n", b"A" * 9000])
def test_trailers_are_bounded(line):
    with pytest.raises(BadChunks, match="trailers"):
        Decoded(b"0\r\n" + line * (MOST_TRAILER_BYTES // len(line) + 1))


def processor_seconds(data: bytes) -> float:
    began = time.thread_time()
    with contextlib.suppress(BadChunks):
        Decoded(data)
    return time.thread_time() - began


def test_a_megabyte_of_small_chunks_costs_little_more_than_one_of_large_ones():
    """Twisted's decoder took ten thousand times as long. The best of three: others use the
    processor too."""
    large = min(processor_seconds(chunk(bytes(READ_BYTES)) * 16 * 16 + LAST) for _ in range(3)) / 16
    small = min(processor_seconds(chunk(b"a") * MIB + LAST) for _ in range(3))

    assert small < 500 * large


def test_one_byte_chunks_are_a_400_and_their_connection_ends(serve):
    told = Told()

    async def app(scope, receive, send):
        while (message := await receive())["type"] != "http.disconnect":
            pass
        told(message["reason"])
        await answer(send)

    with Client(serve(app)) as client:
        client.send(CHUNKED + chunk(b"a") * (2 * FREE_CHUNKS))
        refused = client.answer()
        assert (refused.status, refused.error["code"]) == (400, "bad_request")
        assert refused.error["message"] == told.get()
        assert client.closed()


def test_a_document_written_piece_by_piece_is_taken(serve):
    with Client(serve(echo)) as client:
        client.send(CHUNKED + chunk(b'{"a":') * 4000 + LAST)
        assert client.answer().body == b'{"a":' * 4000


def test_a_body_that_comes_byte_by_byte_is_read_in_larger_pieces(serve):
    """However fast or slow both sides are: so many reads at most in the time that it took."""
    body_bytes, messages = 20_000, []

    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            messages.append(message["body"])
            more = message["more_body"]
        await answer(send, body=b"".join(messages))

    began = time.monotonic()
    with Client(serve(app)) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(POST + b"Content-Length: %d\r\n\r\n" % body_bytes)
        for _ in range(body_bytes):
            client.send(b"a")
        assert client.answer().body == b"a" * body_bytes
    took_seconds = time.monotonic() - began
    paid = body_bytes / LEAST_READ_BYTES
    assert len(messages) <= 2 + FREE_READS + paid + took_seconds / REST_SECONDS


def test_a_client_that_leaves_within_a_body_in_single_bytes_is_noticed(serve):
    left = Told()
    with Client(serve(waits_for_disconnect(left))) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(POST + b"Content-Length: 100000\r\n\r\n")
        for _ in range(2_000):
            client.send(b"a")
    left.get()
