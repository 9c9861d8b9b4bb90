"""Bytes of a form (multipart/form-data, RFC 7578) -> Form: where its `model` stands. Pure.

The form is read by the parser that vLLM's server uses too, so that both see the same fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.calls import MOST_SELECTOR_CHARACTERS
from gateway.errors import InvalidRequest

if TYPE_CHECKING:  # it is there for type checkers only
    from python_multipart.multipart import MultipartCallbacks

MOST_PARTS = 100
MOST_HEADERS_OF_A_PART = 8
MOST_HEADER_BYTES = 4096
MOST_OPTION_BYTES = 1024
MOST_OPTIONS = 16
"""Of a header such as `form-data; name="file"`, whose reading costs by the square of its length."""
MOST_BOUNDARY_BYTES = 70
"""RFC 2046, 5.1.1."""
MOST_MODEL_BYTES = 4 * MOST_SELECTOR_CHARACTERS


@dataclass(frozen=True, slots=True)
class Form:
    """What a client asks by a form: the selector in its field `model`, and all of its bytes."""

    selector: str
    body: bytes = field(repr=False)
    start: int
    end: int
    """The selector is `body[start:end]`."""
    before: bytes = b""
    after: bytes = b""
    """What makes a field of the selector, where the form has none."""

    def body_for(self, upstream_model: str) -> bytes:
        """The form for a server that knows the model as `upstream_model`; every other byte is the
        client's."""
        whole = memoryview(self.body)
        named = (self.before, upstream_model.encode(), self.after)
        return b"".join((whole[: self.start], *named, whole[self.end :]))


def parse(body: bytes, content_type: bytes, *, unnamed: str = "") -> Form:
    """`unnamed` is the selector of a form without a field `model`.

    Raises InvalidRequest for what is no form, is broken, or names no `model` where it must.
    """
    boundary = _boundary(content_type)
    _check_delimiters(body, b"\r\n--" + boundary)
    reading = _Reading()
    parser = MultipartParser(
        boundary,
        reading.callbacks(),
        max_header_count=MOST_HEADERS_OF_A_PART,
        max_header_size=MOST_HEADER_BYTES,
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise InvalidRequest(f"The form cannot be read: {error}.") from None
    if not reading.ended:
        raise InvalidRequest("The form breaks off before its last boundary.")
    if not reading.models and unnamed:
        return _with_field(body, boundary, unnamed)
    return _named(reading, body)


def _with_field(body: bytes, boundary: bytes, selector: str) -> Form:
    """The form with a field `model` before its first part."""
    at = body.index(b"--" + boundary)
    before = b'--%b\r\nContent-Disposition: form-data; name="model"\r\n\r\n' % boundary
    return Form(selector, body, at, at, before, b"\r\n")


def _boundary(content_type: bytes) -> bytes:
    kind, options = _options(content_type, "content-type")
    if kind != b"multipart/form-data":
        raise InvalidRequest("The body must be a form: multipart/form-data.")
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= MOST_BOUNDARY_BYTES:
        raise InvalidRequest(
            f"The content-type must give the form's boundary, 1 to {MOST_BOUNDARY_BYTES} bytes."
        )
    return boundary


def _options(header: bytes, name: str) -> tuple[bytes, dict[bytes, bytes]]:
    if len(header) > MOST_OPTION_BYTES:
        raise InvalidRequest(f"A {name} of the form may have {MOST_OPTION_BYTES} bytes at most.")
    if header.count(b";") > MOST_OPTIONS:
        raise InvalidRequest(f"A {name} of the form may have {MOST_OPTIONS} semicolons at most.")
    return parse_options_header(header.decode("latin-1"))


def _check_delimiters(body: bytes, delimiter: bytes) -> None:
    """What follows each boundary must be a part or the end: then the parser, which is written in
    Python, has no more to do than one round for each part, however long the parts are."""
    following = _following(body, delimiter)
    for _ in range(MOST_PARTS + 1):
        follows = next(following, b"--")
        if follows == b"--":
            return
        if follows != b"\r\n":
            raise InvalidRequest("The form's boundary is not followed by a part or its end.")
    raise InvalidRequest(f"The form may have {MOST_PARTS} parts at most.")


def _following(body: bytes, delimiter: bytes) -> Iterator[bytes]:
    at = body.find(delimiter)
    while at >= 0:
        after = at + len(delimiter)
        yield body[after : after + 2]
        at = body.find(delimiter, after)


class _Reading:
    """What the parser tells of one form, whose bytes it is given all at once."""

    def __init__(self) -> None:
        self.models: list[tuple[int, int]] = []
        self.ended = False
        self._parts = 0
        self._header: list[bytes] = [b"", b""]
        self._disposition = b""
        self._in_model = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise InvalidRequest(f"The form may have {MOST_PARTS} parts at most.")
        self._disposition, self._in_model = b"", False

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = [data[start:end].lower(), b""]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] = data[start:end]

    def _header_end(self) -> None:
        name, value = self._header
        if name == b"content-disposition":
            self._disposition = value

    def _headers_finished(self) -> None:
        _, options = _options(self._disposition, "content-disposition")
        if b"name" not in options:
            raise InvalidRequest("Each part of the form must have a name.")
        if options[b"name"] != b"model":
            return
        if b"filename" in options:
            raise _bad_model("must be a field of the form, not a file.")
        if self.models:
            raise _bad_model("stands in the form twice.")
        self._in_model = True
        self.models.append((0, 0))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_model:
            self.models[0] = (start, end)

    def _end(self) -> None:
        self.ended = True


def _named(reading: _Reading, body: bytes) -> Form:
    if not reading.models:
        raise InvalidRequest("The form must have a field `model`.", param="model")
    [(start, end)] = reading.models
    long = end - start > MOST_MODEL_BYTES
    try:
        selector = "" if long else body[start:end].decode()
    except UnicodeDecodeError:
        selector = ""
    if not 0 < len(selector) <= MOST_SELECTOR_CHARACTERS:
        raise _bad_model(f"must be a text of 1 to {MOST_SELECTOR_CHARACTERS} characters.")
    return Form(selector, body, start, end)


def _bad_model(why: str) -> InvalidRequest:
    return InvalidRequest(f"`model` {why}", param="model")
