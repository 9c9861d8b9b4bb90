"""What a client sees of an application that fails."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.aurora_site.server.apps import (
    GET,
    answer,
)
from tests.aurora_site.server.client import Client

INTERNAL = {
    "message": "Aurora failed to handle this call; its log has the reason",
    "type": "server_error",
    "param": None,
    "code": "internal_error",
}


async def raises_at_once(scope, receive, send):
    raise LookupError("lost it")


async def returns_without_answer(scope, receive, send):
    return


@pytest.mark.parametrize("app", [raises_at_once, returns_without_answer])
def test_a_failure_before_the_response_is_a_500(serve, app, caplog):
    with Client(serve(app)) as client, caplog.at_level(logging.ERROR, "aurora.server"):
        failed = client.send(GET).answer()
        assert (failed.status, failed.error) == (500, INTERNAL)
        assert client.send(GET).answer().status == 500  # the connection goes on
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [each.name for each in errors] == ["aurora.server"] * 2
    assert all(bool(each.exc_info) is (app is raises_at_once) for each in errors)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(
    ("headers", "way"),
    [
        ([], "raise"),
        ([], "return"),
        ([(b"content-length", b"10")], "raise"),
        ([(b"content-length", b"10")], "return"),
        ([(b"content-length", b"10")], "finish early"),
    ],
)
def test_a_failure_after_the_start_is_seen_as_a_cut(serve, version, headers, way):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await asyncio.sleep(0.05)
        if way == "raise":
            raise LookupError("lost it")
        if way == "finish early":
            await send({"type": "http.response.body", "body": b"d"})

    with Client(serve(app)) as client:
        client.send(b"GET / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
        with pytest.raises((EOFError, ConnectionResetError)):
            client.answer()


def test_a_response_header_cannot_split_the_answer(serve):
    async def app(scope, receive, send):
        await answer(send, headers=[(b"x-id", b"1\r\nset-cookie: a=b")])

    with Client(serve(app)) as client, pytest.raises((EOFError, ConnectionResetError)):
        client.send(GET).answer()


def test_an_answer_that_the_application_cuts_is_no_failure_of_its(serve, caplog):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ConnectionAbortedError("the server ended")

    with Client(serve(app)) as client, caplog.at_level(logging.INFO, "aurora.server"):
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client._until(b"abc\r\n")
        assert client.closed()
    [line] = [each for each in caplog.records if "Broke off" in each.message]
    assert (line.levelname, line.fields["reason"]) == ("INFO", "the server ended")
