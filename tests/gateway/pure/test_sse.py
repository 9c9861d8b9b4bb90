"""Wherever a stream breaks off, what is appended is an event of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import sse

OURS = b'{"error":{"message":"broke"}}'
LINE_ENDS = [b"\n", b"\r", b"\r\n"]


@dataclass
class Parser:
    """The HTML standard, 9.2.6, word by word."""

    events: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    type: str = ""

    @classmethod
    def parsed(cls, stream: bytes) -> list[tuple[str, str]]:
        """Type and data of each event that a client would be told of."""
        text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
        parser = cls()
        for line in re.split(r"\r\n|\n|\r", text)[:-1]:  # the last is not ended
            parser.read(line)
        return parser.events

    def read(self, line: str) -> None:
        if not line:
            self.dispatch()
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self.data.append(value)
            elif name == "event":
                self.type = value

    def dispatch(self) -> None:
        if self.data:
            self.events.append((self.type or "message", "\n".join(self.data)))
        self.data, self.type = [], ""


lines = st.sampled_from(
    [b"data: x", b"data:", b"data: {\"a\":1}", b"event: error", b": keep-alive", b"id: 1", b"",
     b"retry: 3", b"junk", b"data: [DONE]", "data: ü€".encode(), b"\xef\xbb\xbfdata: x"]
)  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    parts = draw(st.lists(st.tuples(lines, st.sampled_from(LINE_ENDS)), max_size=8))
    return b"".join(line + end for line, end in parts) + draw(lines)


@st.composite
def chunked(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """`stream` in any pieces, some of them empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return [stream[i:j] for i, j in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def fed(chunks: list[bytes]) -> sse.Tail:
    tail = sse.Tail()
    for chunk in chunks:
        tail.feed(chunk)
    return tail


def check_that_ours_is_an_event_of_its_own(stream: bytes, chunks: list[bytes]) -> None:
    before = Parser.parsed(stream)
    after = Parser.parsed(stream + fed(chunks).closing() + sse.event(OURS))
    assert after[-1] == ("message", OURS.decode())
    assert after[: len(before)] == before
    assert len(after) - len(before) <= 2  # ours, and what had been left open


@given(streams().flatmap(lambda s: st.tuples(st.just(s), st.integers(0, len(s)), st.data())))
def test_an_event_after_any_cut_and_any_chunking_stands_alone(case):
    stream, cut, data = case
    check_that_ours_is_an_event_of_its_own(stream[:cut], data.draw(chunked(stream[:cut])))


@given(st.binary(max_size=12) | st.text("\r\nd:", max_size=10).map(str.encode))
@example(b"")
@example(b"\r")
@example(b"data: x\r\n\r")
@example(b"data: x\n\r")
def test_an_event_after_any_bytes_at_all_stands_alone(stream):
    check_that_ours_is_an_event_of_its_own(stream, [stream])
    check_that_ours_is_an_event_of_its_own(stream, [bytes([b]) for b in stream])


@pytest.mark.parametrize("end", LINE_ENDS)
def test_every_cut_of_a_real_looking_stream(end):
    stream = end.join(
        [
            b'data: {"a":"\xe2\x82\xac"}',
            b"",
            b": keep-alive",
            b"",
            b"event: x",
            b"data: y",
            b"",
            b"",
        ]
    )
    for cut in range(len(stream) + 1):
        check_that_ours_is_an_event_of_its_own(stream[:cut], [stream[:cut]])


@pytest.mark.parametrize(
    "stream",
    [b"", b"data: x\n\n", b"data: x\r\n\r\n", b"data: x\r\r", b"data: x\n\r\n", b"data: x\n\n\n"],
)
def test_nothing_is_added_at_a_boundary(stream):
    assert fed([stream]).closing() == b""


@pytest.mark.parametrize("stream", [b"d", b"data: x", b"data: x\n", b"data: x\r", b"data: x\r\n"])
def test_an_open_event_is_closed_first(stream):
    assert fed([stream]).closing() in {b"\n", b"\n\n"}


@given(streams().flatmap(chunked))
def test_what_is_remembered_is_three_bytes_and_hangs_on_no_chunking(chunks):
    tail = fed(chunks)
    assert len(tail._last) <= 3
    assert tail.closing() == fed([b"".join(chunks)]).closing()
    assert not hasattr(tail, "__dict__")


@given(st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_an_event_holds_exactly_its_data(data):
    if not set(data) & set(b"\r\n"):
        assert Parser.parsed(sse.event(data)) == [("message", data.decode())]


@pytest.mark.parametrize(
    ("content_type", "streams"),
    [
        (b"text/event-stream", True),
        (b"text/event-stream; charset=utf-8", True),
        (b"Text/Event-Stream ;charset=utf-8", True),
        (b"application/json", False),
        (b"text/event-streams", False),
        (b"", False),
    ],
)
def test_a_stream_is_known_by_its_media_type(content_type, streams):
    assert sse.is_stream(content_type) is streams


@pytest.mark.parametrize(
    ("piece", "is_error"),
    [
        (b'data: {"error": {"message": "x"}}\n\n', True),
        (b'data:{"error":{}}\n\ndata: [DONE]\n\n', True),
        (b'event: error\ndata: {"type": "error"}\n\n', True),
        (b"event:error\r\ndata: {}\r\n\r\n", True),
        (b'\xef\xbb\xbfdata: {"error": {}}\n\n', True),
        (b'data: {"choices": []}\n\ndata: {"error": {}}\n\n', False),  # it began well
        (b'data: {"choices": [{"delta": {"content": "{\\"error\\""}}]}\n\n', False),
        (b'data: {"id": "error"}\n\n', False),
        (b"event: message_start\ndata: {}\n\n", False),
        (b"data: [DONE]\n\n", False),
        (b"", None),
        (b"d", None),
        (b"\xef\xbb", None),
        (b"\xef\xbb\xbf", None),
        (b'data: {"err', None),
        (b"event: err", None),
        (b"event: m", False),
        (b'data: {"i', False),
        (b'data: {"error"', True),
        (b": ping\n\n", None),
        (b": ping\r\n", None),
        (b": pi", None),
        (b"\xef\xbb\xbf:", None),
        (b"\r\n", None),
        (b': ping\n\ndata: {"error"', True),
        (b": ping\r\revent: error", True),
        (b": ping\r\n\r\nevent: error\r\n", True),
        (b'\xef\xbb\xbf:\ndata: {"error": {}}', True),
        (b": ping\n\ndata: {}\n\n", False),
        (b": ping\n\n: ping\n\n", None),
        (b": ping\n\n:", None),
        (b'id: 1\ndata: {"error": {}}\n\n', True),
        (b'retry: 3000\n\ndata: {"error": {}}\n\n', True),
        (b"retry: 3000\n\nevent: error\ndata: {}\n\n", True),
        (b'data: { "error": {}}\n\n', True),
        (b'data:  \t{"error"', True),
        (b'data: { "er', None),
        (b'id: 1\ndata: {"id": 1}', False),
        (b"unknown: x\ndata: {}", False),
        (b": a\n" * sse.MOST_AHEAD_BYTES, False),
        (b":" + b"x" * sse.MOST_AHEAD_BYTES, False),
    ],
)
def test_a_stream_whose_first_event_is_an_error_is_known_as_soon_as_it_says_so(piece, is_error):
    assert sse.begins_with_error(piece) is is_error


@pytest.mark.parametrize(
    ("beginning", "comments"),
    [
        (b"", b""),
        (b": pi", b""),
        (b": ping", b""),
        (b": ping\n", b": ping\n"),
        (b": ping\n\n", b": ping\n\n"),
        (b": a\n\n: b\n\n: c", b": a\n\n: b\n\n"),
        (b":\r\n\r\n:\r\n\r\ndata", b":\r\n\r\n:\r\n\r\n"),
        (b": a\r\rdata: 1\r\r", b": a\r\r"),
        (b": a\r\n\r", b": a\r\n"),  # the rest of a line end may come
        (b": a\r", b""),
        (b"\n\n", b"\n\n"),
        (b"\xef\xbb\xbf: a\n\ndata", b"\xef\xbb\xbf: a\n\n"),
        (b"\xef\xbb\xbf", b""),
        (b"\xef\xbb\xbfdata", b""),
        (b"data: 1\n\n: a\n\n", b""),
        (b"event: error\n", b""),
        (b"retry: 3\n\n", b""),
    ],
)
def test_comments_before_an_event_are_known_line_by_line(beginning, comments):
    assert beginning[: sse.comments_ahead(beginning)] == comments


@given(st.lists(st.sampled_from([b":", b" x", b"\n", b"\r", b"\r\n", b"data: 1\n\n"]), max_size=12))
def test_what_is_told_of_comments_as_they_come_is_what_all_of_it_says(parts):
    whole, told, held = b"".join(parts), b"", b""
    for part in parts:
        held += part
        size = sse.comments_ahead(held)
        told, held = told + held[:size], held[size:]
    assert told + held == whole
    assert sse.Parser().feed(told) == []


@pytest.mark.parametrize(
    "begun", [b"data: x\r\n\r", b"data: x\n\r", b"data: x\r\r", b"data: x\r\n\r\n"]
)
def test_a_stream_that_breaks_off_between_cr_and_lf_of_a_blank_line_is_at_a_boundary(begun):
    for cut in range(len(begun)):
        tail = sse.Tail()
        tail.feed(begun[:cut])
        tail.feed(begun[cut:])
        assert tail.closing() == b""


@pytest.mark.parametrize("cut", range(len(b"event: a\r\ndata: x\r\n\r\ndata: y\r\n\r\n") + 1))
def test_an_event_cut_between_cr_and_lf_is_one_event(cut):
    stream = b"event: a\r\ndata: x\r\n\r\ndata: y\r\n\r\n"
    parser = sse.Parser()

    told = [*parser.feed(stream[:cut]), *parser.feed(stream[cut:])]

    assert told == [sse.Event(b"a", b"x"), sse.Event(b"", b"y")]
