"""The parser of heads, alone: whatever comes, it gives a head or says what is wrong."""

from __future__ import annotations

import re
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from aurora_site.server.head import BadHead, parse_head

LINE_BYTES = st.binary(max_size=60)
NAMES = st.sampled_from(
    [b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"Upgrade", b"X-One"]
)
HEADER_LINES = st.one_of(LINE_BYTES, st.builds(lambda n, v: n + b": " + v, NAMES, LINE_BYTES))


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(block):
    with suppress(BadHead):
        parse_head(block)


@given(st.lists(HEADER_LINES, max_size=6))
def test_no_headers_get_past_the_checks(lines):
    try:
        head = parse_head(b"\r\n".join([b"POST /v1 HTTP/1.1", *lines]))
    except BadHead:
        return
    for name, value in head.headers:
        assert re.fullmatch(rb"[-!#$%&'*+.^`|~0-9a-z]+", name)
        assert not re.search(rb"[\x00\r\n]", value)
        assert value == value.strip(b" \t")
    names = [name for name, _ in head.headers]
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert (head.body_bytes is None) == (b"transfer-encoding" in names)


@given(LINE_BYTES)
def test_a_path_is_visible_ascii_and_starts_with_a_slash(target):
    try:
        head = parse_head(b"GET " + target + b" HTTP/1.1")
    except BadHead:
        return
    assert re.fullmatch(rb"/[\x21-\x7e]*|\*", head.raw_path)
    assert b"?" not in head.raw_path
