"""Log lines: one JSON object each, whatever is logged."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from aurora_site.logs import JsonFormatter, NoCallersWords, NoCancelledCalls, TextFormatter


def line(message: str = "m", *args: Any, **extra: Any) -> dict[str, Any]:
    record = logging.LogRecord("aurora.tests", logging.WARNING, __file__, 1, message, args, None)
    vars(record).update(extra)
    written = JsonFormatter().format(record)
    assert "\n" not in written
    read: dict[str, Any] = json.loads(written)
    return read


def test_a_line_says_when_how_bad_from_where_and_what():
    before = datetime.now(UTC).replace(microsecond=0)
    read = line("hello %s", "world")
    assert list(read) == ["time", "level", "logger", "message"]
    assert (read["level"], read["logger"], read["message"]) == (
        "warning",
        "aurora.tests",
        "hello world",
    )
    assert before <= datetime.fromisoformat(read["time"]) <= datetime.now(UTC)
    assert read["time"].endswith("+00:00")


def test_fields_become_members_of_the_line():
    read = line("call", fields={"status": 200, "ms": 1.5, "model": "a/b", "reason": None})
    assert (read["status"], read["ms"], read["model"], read["reason"]) == (200, 1.5, "a/b", None)
    assert read["message"] == "call"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_breaks_a_line(text):
    read = line("%s", text, fields={"reason": text})
    assert (read["message"], read["reason"]) == (text, text)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (ValueError("why"), "why"),
        (object, "<class 'object'>"),
        (("a", 1), ["a", 1]),
        ({"a": {"b": ValueError("deep")}}, {"a": {"b": "deep"}}),
        (float("nan"), None),
    ],
)
def test_what_json_has_no_word_for_is_written_as_text(value, written):
    assert line(fields={"value": value})["value"] == written


def test_an_exception_comes_with_its_traceback_within_the_line(caplog):
    caplog.handler.setFormatter(JsonFormatter())
    try:
        raise ZeroDivisionError("of a test")
    except ZeroDivisionError:
        logging.getLogger("aurora.tests").exception("it failed")
    read = json.loads(caplog.text)
    assert (read["message"], read["level"]) == ("it failed", "error")
    assert read["exception"].startswith("Traceback")
    assert "ZeroDivisionError: of a test" in read["exception"]


def test_auroras_own_lines_of_the_chosen_level_are_written(settings):
    assert settings.LOGGING["formatters"]["json"]["()"] == "aurora_site.logs.JsonFormatter"
    assert logging.getLogger("aurora").getEffectiveLevel() == logging.INFO
    assert logging.getLogger("some.library").getEffectiveLevel() == logging.WARNING


def text(message: str, logger: str = "aurora.tests", level: int = logging.INFO, **more: Any) -> str:
    record = logging.LogRecord(logger, level, __file__, 1, message, (), None)
    vars(record).update(more)
    return TextFormatter().format(record)


def test_a_person_reads_a_call_in_one_line():
    fields = {"method": "POST", "path": "/v1/messages", "status": 200, "model": "m", "provider": ""}

    time, _, rest = text("call", "aurora.calls", fields=fields).partition(" ")

    assert datetime.strptime(time, "%H:%M:%S")
    assert rest == "POST /v1/messages 200 model=m"


def test_a_person_is_told_what_matters_more_than_usual():
    assert text("gone", level=logging.WARNING, fields={"provider": "a"}).endswith(
        " WARNING gone provider=a"
    )
    assert text("listening", fields={"port": 8080}).endswith(" listening port=8080")


def test_nothing_in_a_line_moves_the_cursor():
    written = text("a\x1b[2Jb\nc", fields={"name": "d\re\u202ef"})

    assert written.endswith(r"a\x1b[2Jb\nc name=d\re\u202ef")


def test_a_person_gets_the_traceback_as_it_is():
    try:
        raise LookupError("why")
    except LookupError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "m", (), sys.exc_info())
    assert TextFormatter().format(record).endswith("LookupError: why")


def test_the_log_has_no_first_login_token_and_no_traceback_of_a_refused_request(
    client: Client, db: Any
) -> None:
    said: list[str] = []
    handler = logging.Handler()
    setattr(handler, "emit", lambda record: said.append(JsonFormatter().format(record)))  # noqa: B010
    handler.addFilter(NoCallersWords())
    logging.getLogger("django").addHandler(handler)
    try:
        client.put("/admin/first-login/the-token-of-the-link/")
        client.get("/admin/", query_params={f"p{i}": "1" for i in range(2000)})
        record = logging.LogRecord(
            "django.request", logging.ERROR, "", 1, "Internal Server Error: %s", ("/l/tok/",), None
        )
        asked = client.get("/admin/first-login/tok/").wsgi_request
        vars(record).update(request=asked, status_code=500)
        handler.handle(record)
    finally:
        logging.getLogger("django").removeHandler(handler)

    assert said
    assert not any("the-token-of-the-link" in line or "Traceback" in line for line in said)
    assert "/l/<token>/" in said[-1]


@pytest.mark.parametrize(
    ("error", "is_told"), [(asyncio.CancelledError(), False), (ValueError(), True), (None, True)]
)
def test_a_client_that_leaves_puts_no_traceback_into_the_log(error, is_told):
    about = (type(error), error, None) if error else None
    record = logging.LogRecord("asyncio", logging.ERROR, __file__, 1, "never retrieved", (), about)

    assert NoCancelledCalls().filter(record) is is_told


def test_what_asyncio_tells_passes_that_filter(settings):
    assert settings.LOGGING["loggers"]["asyncio"]["filters"] == ["no_cancelled_calls"]
