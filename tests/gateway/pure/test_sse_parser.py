"""A stream cut anywhere gives the events that the HTML standard says it holds."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import sse
from tests.gateway.pure.test_sse import Parser as Standard
from tests.gateway.pure.test_sse import chunked, streams
from tests.recorded import load, names

STREAMS_RECORDED = [name for name in names() if load(name).streamed]


def parsed(chunks: list[bytes]) -> list[tuple[str, str]]:
    parser = sse.Parser()
    return [
        (event.name.decode() or "message", event.data.decode("utf-8", "replace"))
        for chunk in chunks
        for event in parser.feed(chunk)
    ]


@given(st.data())
def test_any_stream_in_any_pieces_is_read_as_the_standard_says(data):
    stream = data.draw(streams())
    chunks = data.draw(chunked(stream))

    assert parsed(chunks) == Standard.parsed(stream)


@pytest.mark.parametrize(
    "stream",
    [
        b"data: a\r\rdata: b\r\r",
        b"data: a\r\n\r\ndata: b\r\n\r\n",
        b"data: a\n\r\ndata: b\r\n\n",
        b"\xef\xbb\xbfdata: a\n\n",
        b"\n\n\ndata: a\n\n\n\n",
        b"data: a\ndata: b\nevent: x\nid: 3\n\n",
        b"event: x\n\ndata: a\n\n",
        b"data\n\ndata:\n\n",
    ],
)
def test_it_makes_no_difference_where_the_stream_is_cut(stream):
    whole = Standard.parsed(stream)
    for cut in range(len(stream) + 1):
        assert parsed([stream[:cut], stream[cut:]]) == whole
    assert parsed([stream[i : i + 1] for i in range(len(stream))]) == whole


@pytest.mark.parametrize("name", STREAMS_RECORDED)
def test_what_vllm_sends_is_read_byte_by_byte_as_in_one_piece(name):
    stream = load(name).body

    assert parsed([bytes([byte]) for byte in stream]) == Standard.parsed(stream)


def test_an_event_is_there_with_the_last_byte_of_its_blank_line():
    parser = sse.Parser()

    assert parser.feed(b"data: a\n") == []
    assert parser.feed(b"\n") == [sse.Event(b"", b"a")]
    assert parser.feed(b"event: x\rdata: b\r\r") == [sse.Event(b"x", b"b")]


def test_an_unfinished_event_is_held_up_to_a_limit_and_no_further():
    parser = sse.Parser(most_bytes=100)

    assert parser.feed(b"data: " + b"x" * 90) == []
    with pytest.raises(sse.EventTooLong):
        parser.feed(b"x" * 10)


def test_many_events_together_may_be_longer_than_one():
    parser = sse.Parser(most_bytes=100)

    assert len(parser.feed(b"data: " + b"x" * 50 + b"\n\n") * 1) == 1
    assert len(parser.feed((b"data: " + b"x" * 50 + b"\n\n") * 100)) == 100


@example(b"{}", b"")
@example(b"{}", b"error")
@given(
    st.binary(max_size=20).filter(lambda b: not set(b) & set(b"\r\n")),
    st.sampled_from([b"", b"response.done"]),
)
def test_what_is_written_as_an_event_is_read_as_one(data, name):
    assert sse.Parser().feed(sse.event(data, name)) == [sse.Event(name, data)]
