"""What is refused before, or instead of, the application's answer."""

from __future__ import annotations

import logging
from email.utils import parsedate_to_datetime
from uuid import UUID

import pytest

from gateway.headers import request_id
from tests.aurora_site.server.apps import (
    POST,
    Told,
    echo,
    read_body,
    waits_for_disconnect,
)
from tests.aurora_site.server.client import Client

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
MALFORMED = {
    "no request line": b"NONSENSE\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    "an unknown version": b"GET / HTTP/2.0\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment in the path": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment in the query": b"GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target in UTF-8": "GET /ü HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "a target without slash": b"GET v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
    "a host as target": b"CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "two empty lines": b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "Host twice": HEAD + b"Host: a\r\n\r\n",
    "Host twice in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n",
    "no colon": HEAD + b"Nonsense\r\n\r\n",
    "an empty name": HEAD + b": 1\r\n\r\n",
    "a space in a name": HEAD + b"X One: 1\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 1\r\n\r\n",
    "a folded header": HEAD + b"X-One: 1\r\n 2\r\n\r\n",
    "a bare line feed": HEAD + b"X-One: 1\nX-Two: 2\r\n\r\n",
    "a bare carriage return": HEAD + b"X-One: 1\rX-Two: 2\r\n\r\n",
    "NUL in a value": HEAD + b"X-One: \x00\r\n\r\n",
    "a vertical tab in a value": HEAD + b"X-One: a\x0bb\r\n\r\n",
    "Content-Length in words": POST + b"Content-Length: ten\r\n\r\n",
    "Content-Length below zero": POST + b"Content-Length: -1\r\n\r\n",
    "Content-Length with a sign": POST + b"Content-Length: +1\r\n\r\n",
    "Content-Length without end": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "Content-Length twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "both lengths": POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a bad chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a chunk too long": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcdef\r\n",
    "a chunk line without end": POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 3000,
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_input_is_a_400_in_the_one_shape(serve, raw, caplog):
    calls = []

    async def app(scope, receive, send):
        calls.append(scope)
        await echo(scope, receive, send)

    with Client(serve(app)) as client, caplog.at_level(logging.INFO, "aurora.server"):
        refused = client.send(raw).answer()
        assert refused.status == 400
        assert refused.error["type"] == "invalid_request_error"
        assert refused.error["code"] == "bad_request"
        assert refused.headers["connection"] == "close"
        assert refused.headers["server"] == "aurora"
        assert parsedate_to_datetime(refused.headers["date"])
        assert client.closed()
    [line] = [each for each in caplog.records if "Refused" in each.message]
    assert line.fields["reason"] == refused.error["message"]
    assert line.fields["status"] == 400
    assert line.fields["request_id"] == refused.headers["x-request-id"]
    assert str(UUID(line.fields["request_id"])) == line.fields["request_id"]
    assert len(calls) == (b"chunk" in raw and b"\r\n\r\n" in raw.removesuffix(b"\r\n\r\n"))


def test_a_malformed_chunk_is_told_with_the_id_that_the_request_came_with(serve, caplog):
    fields = b"X-Request-Id: of-the-client\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"
    with (
        Client(serve(echo, request_id=request_id)) as client,
        caplog.at_level(logging.INFO, "aurora.server"),
    ):
        refused = client.send(POST + fields).answer()
    [line] = [each for each in caplog.records if "Refused" in each.message]
    assert refused.headers["x-request-id"] == line.fields["request_id"] == "of-the-client"


def test_an_answer_that_is_broken_off_is_logged_with_the_requests_id(serve, caplog):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    fields = b"X-Request-Id: of-the-client\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    with (
        Client(serve(app, request_id=request_id)) as client,
        caplog.at_level(logging.INFO, "aurora.server"),
    ):
        client.send(POST + fields)
        client._until(b"abc\r\n")
        client.send(b"zzz\r\n")
        assert client.closed()
    [line] = [each for each in caplog.records if "Broke off" in each.message]
    assert line.fields["request_id"] == "of-the-client"


def test_a_malformed_chunk_is_a_disconnect_for_the_application(serve):
    left = Told()
    with Client(serve(waits_for_disconnect(left))) as client:
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        client.send(b"zzz\r\n")
        left.get()
        assert client.answer().error["code"] == "bad_request"


def test_a_malformed_chunk_within_an_answer_cuts_it(serve):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        with pytest.raises(ConnectionAbortedError):
            await read_body(receive)

    with Client(serve(app)) as client:
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        client._until(b"abc\r\n")
        client.send(b"zzz\r\n")
        assert client.closed()


HUGE_HEADS = {
    "one header": HEAD + b"X-One: " + b"a" * 70_000 + b"\r\n\r\n",
    "one header without end": HEAD + b"X-One: " + b"a" * 200_000,
    "the target": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "201 headers": HEAD + b"X-One: 1\r\n" * 200 + b"\r\n",
}


@pytest.mark.parametrize("raw", HUGE_HEADS.values(), ids=HUGE_HEADS.keys())
def test_a_head_that_is_too_large_is_a_431(serve, raw, caplog):
    with Client(serve(echo)) as client, caplog.at_level(logging.INFO, "aurora.server"):
        refused = client.send(raw).answer()
        assert (refused.status, refused.error["code"]) == (431, "bad_request")
        assert client.closed()
    [line] = [each for each in caplog.records if "Refused" in each.message]
    assert line.fields["request_id"] == refused.headers["x-request-id"]


def test_a_path_over_8_kib_is_a_414_and_a_long_query_is_taken(serve):
    url = serve(echo)
    with Client(url) as client:
        longest = b"/" + b"%" * (8 * 1024 - 1)
        query = b"?a=" + b"b" * 40_000
        assert client.send(b"GET %b%b HTTP/1.1\r\nHost: a\r\n\r\n" % (longest, query)).answer()
        refused = client.send(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % longest).answer()
        assert (refused.status, refused.error["code"]) == (414, "bad_request")
        assert client.closed()


def test_200_headers_of_60_kib_in_all_are_taken(serve):
    raw = HEAD + b"X-One: %b\r\n" % (b"a" * 290) * 199 + b"\r\n"
    with Client(serve(echo)) as client:
        assert client.send(raw).answer().status == 200
