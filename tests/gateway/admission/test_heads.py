"""What of a head goes on to Django's part."""

from __future__ import annotations

import time

import pytest

from gateway.admission import form_bodies
from gateway.admission.form_bodies import MOST_ESCAPES
from gateway.admission.heads import (
    MOST_HEADER_BYTES,
    MOST_HEADERS_BYTES,
    MOST_MEDIA_TYPE_BYTES,
    MOST_TARGET_BYTES,
    checked,
    cookie,
    own_cookies,
)
from gateway.errors import BodyTooLarge, HeadTooLarge

SESSION = b"aurora_session_0a=0123456789abcdef"


@pytest.mark.parametrize(
    ("header", "own"),
    [
        (SESSION, SESSION),
        (b"theme=dark; " + SESSION + b'; j="{\\"a\\":1}"', SESSION),
        (b"a=1;" + SESSION + b";  aurora_csrf_0a=x ", SESSION + b"; aurora_csrf_0a=x"),
        (b"a=1; b=2", b""),
        (b'aurora_session_0a="' + b"\\1" * 30_000 + b'"; ' + SESSION, SESSION),
        (b"x=" + SESSION, b""),
        (b"", b""),
    ],
)
def test_cookies_of_other_programs_and_with_backslashes_do_not_cross(header, own):
    assert own_cookies(header) == own
    assert checked(b"/", b"", [(b"cookie", header)]) == [(b"cookie", own)]


def test_a_cookie_is_found_by_its_name():
    headers = [(b"host", b"a"), (b"cookie", b"a=1; b=2"), (b"cookie", b"c=3;" + SESSION)]

    assert cookie(headers, "aurora_session_0a") == "0123456789abcdef"
    assert cookie(headers, "aurora_session_0b") == cookie(headers, "c") == ""


TOO_LARGE = {
    "a path": (b"/" * (MOST_TARGET_BYTES + 1), b"", []),
    "a query": (b"/", b"a" * MOST_TARGET_BYTES, []),
    "a header": (b"/", b"", [(b"x-a", b"a" * (MOST_HEADER_BYTES + 1))]),
    "a media type": (b"/", b"", [(b"content-type", b"a" * (MOST_MEDIA_TYPE_BYTES + 1))]),
    "all headers": (b"/", b"", [(b"x-a", b"a" * 1024)] * (MOST_HEADERS_BYTES // 1024)),
}


@pytest.mark.parametrize("head", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_larger_heads_than_django_reads_quickly_are_refused(head):
    with pytest.raises(HeadTooLarge):
        checked(*head)


def test_what_is_just_within_the_limits_passes_as_it_is():
    headers = [
        (b"x-a", b"a" * MOST_HEADER_BYTES),
        (b"content-type", b"a" * MOST_MEDIA_TYPE_BYTES),
        (b"x-b", b"a" * (MOST_HEADERS_BYTES - MOST_HEADER_BYTES - 1024)),
    ]
    assert checked(b"/" * MOST_TARGET_BYTES, b"", headers) == headers


def test_foreign_cookies_do_not_count():
    assert checked(b"/", b"", [(b"cookie", b"a=" + b"1" * 60_000)]) == [(b"cookie", b"")]


def processor_seconds(header: bytes) -> float:
    began = time.thread_time()
    own_cookies(header)
    return time.thread_time() - began


def test_backslashes_in_a_cookie_cost_no_more_than_letters():
    """Python's parser, which read them before, takes their square."""
    letters = min(processor_seconds(SESSION + b"ab" * 30_000) for _ in range(5))
    slashes = min(processor_seconds(SESSION + b"\\1" * 30_000) for _ in range(5))

    assert slashes < 50 * max(letters, 1e-6)


@pytest.mark.parametrize(
    "media_type",
    [
        b"application/x-www-form-urlencoded",
        b" Application/X-WWW-Form-URLencoded; charset=utf-8",
    ],
)
def test_a_form_of_percent_signs_is_refused(media_type):
    headers = [(b"content-type", media_type)]

    form_bodies.check(headers, b"a=" + b"%41" * MOST_ESCAPES)
    with pytest.raises(BodyTooLarge):
        form_bodies.check(headers, b"%" * (MOST_ESCAPES + 1))


def test_bodies_that_are_no_url_encoded_forms_may_hold_any_number():
    for headers in ([], [(b"content-type", b"application/json")]):
        form_bodies.check(headers, b"%" * (MOST_ESCAPES + 1))
