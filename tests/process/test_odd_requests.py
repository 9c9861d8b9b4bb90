"""Whatever strangers, people and programs send to Django's part, none of it is a 500, and the log
of the process has neither a traceback nor their words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from tests.process.running import Aurora
from tests.raw_http import RawClient

MASTER_KEY = "sk-of-the-odd-requests-0123456789"
WORDS = "xyzzy-of-the-caller"
PATHS = (
    *(
        "/admin/login/",
        "/admin/first-login/xyzzy-of-the-caller/",
        "/admin/jsi18n/",
        "/admin/search/",
    ),
    *("/api/providers", "/api/keys", "/api/aliases", "/api/keys/rotate", "/api/providers/test"),
    *("/api/openapi.json", "/static/unfold/css/styles.css", "/static/../manage.py", "/static/"),
    *("/static/%00", "/static/%ff%fe", "/api/keys/%00", "/admin/%ed%a0%80/", "/admin//", "/api//"),
)
METHODS = (
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "get",
    "X-" + WORDS,
)
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
BOUND = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="username"'
BODIES: tuple[tuple[str, bytes], ...] = (
    (JSON, b"[" * 100_000),
    (JSON, b'{"a":' * 20_000),
    (JSON, b'{"name":' + b"9" * 6000 + b"}"),
    (JSON, b'{"cap":1e400,"expires_at":1e400,"ids":[' + b"9" * 400 + b"]}"),
    (JSON, b'{"name":"\\ud800","url":"http://[::1%' + WORDS.encode() + b']/"}'),
    (JSON, b'{"name":"\\u0000' + WORDS.encode() + b'"}'),
    (JSON, b"\xff\xfe{\x00}\x00"),
    ("application/json; charset=" + WORDS, b'{"name":"a"}'),
    ("application/json; charset=utf-16", b"{}"),
    (FORM, b"username=%ff%fe&password=%00&%=&&&=" + WORDS.encode()),
    (FORM, b"&".join(b"a%d=1" % each for each in range(1500))),
    (FORM + "; charset=" + WORDS, b"username=a&password=b"),
    (FORM + "; charset=utf-7", b"username=+AAA-&password=b"),
    ("multipart/form-data", b"a"),
    ("multipart/form-data; boundary=" + "b" * 300, b"--b"),
    ("multipart/form-data; boundary=\xe9", b"--\xe9"),
    (BOUND, b"--b\r\n\r\n\r\n--b"),
    (BOUND, PART + b"\r\nContent-Transfer-Encoding: base64\r\n\r\na=b!\r\n--b--\r\n"),
    (BOUND, PART + b'; filename="../' + WORDS.encode() + b'\x00"\r\n\r\nx\r\n--b--\r\n'),
    (BOUND, PART + b"; filename*=xyz''%ff\r\n\r\nx\r\n--b--\r\n"),
    (BOUND, PART + b"\r\nContent-Type: text/plain; charset=nope\r\n\r\nx\r\n--b--\r\n"),
    (BOUND, (PART + b"\r\n\r\nx\r\n") * 1200 + b"--b--\r\n"),
    (WORDS + "/" + WORDS, WORDS.encode()),
)
HEADERS: tuple[tuple[str, str], ...] = (
    ("Cookie", "aurora_session=\xff\xfe; csrftoken=" + "x" * 4000),
    ("Cookie", "sessionid=" + WORDS + "; =; ;;"),
    ("Accept", "text/html;q=" + "9" * 400 + ", " + WORDS + "/*;q=nan"),
    ("Accept-Language", "x-" * 500 + ",;q=1e400"),
    ("If-Modified-Since", "Mon, 99 Foo 99999999999 99:99:99 GMT"),
    ("If-None-Match", '"' + WORDS + "\xff"),
    ("If-Match", '"' + "9" * 5000 + '", W/"' + WORDS),
    ("Range", "bytes=" + "9" * 400 + "-,-,5-1"),
    ("Host", WORDS + ".example.com:99999999"),
    ("Host", "[::1"),
    ("X-Forwarded-Proto", "\xff" + WORDS),
    ("X-Forwarded-For", WORDS + "," * 500),
    ("Authorization", "Basic " + WORDS + "\xff"),
    ("Authorization", "Bearer " + "\xe9" * 3000),
    ("Content-Encoding", WORDS),
    ("Content-Encoding", "gzip, gzip, deflate"),
    ("Origin", "http://[" + WORDS),
    ("Referer", "http://[" + WORDS),
    ("X-Request-Id", "\xff" * 300),
)
QUERIES = ("?%", "?a=%ff%00", "?next=//" + WORDS, "?limit=" + "9" * 6000, "?" + "a&" * 1500)


@pytest.fixture(scope="module")
def aurora(serve_all) -> Aurora:
    started: Aurora = serve_all(AURORA_MASTER_KEY=MASTER_KEY)
    return started


def requests() -> Iterator[bytes]:
    """Each method, body, header and query at each path, once with a key."""
    yield from (sent(method, path) for method, path in product(METHODS, PATHS))
    for path, (kind, body) in product(PATHS[:9], BODIES):
        yield sent("POST", path, ("Content-Type", kind), body=body)
    for path, header in product(PATHS[:11], HEADERS):
        yield sent("GET", path, header)
    for path, query in product(PATHS[:11], QUERIES):
        yield sent("GET", path + query)


def sent(method: str, path: str, *headers: tuple[str, str], body: bytes = b"") -> bytes:
    names = {name for name, _ in headers}
    more = [] if "Host" in names else [("Host", "127.0.0.1")]
    if path.startswith("/api") and "Authorization" not in names:
        more.append(("Authorization", f"Bearer {MASTER_KEY}"))
    if body:
        more.append(("Content-Length", str(len(body))))
    lines = [
        f"{method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in (*headers, *more)),
    ]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body


def test_nothing_odd_is_a_500_or_a_traceback_or_repeated_in_the_log(aurora: Aurora) -> None:
    failed = []
    for request in requests():
        with RawClient("127.0.0.1", aurora.port) as client:
            client.send(request)
            answer = client.read_answer()
        if answer.status >= 500 and answer.status != 503:
            failed.append((answer.status, request[:200]))

    assert failed == []
    assert [line for line in aurora.lines if "exception" in line] == []
    assert "Traceback" not in aurora.written
    assert [line for line in aurora.output if WORDS in line] == []
