"""Whichever statement of a page the database fails, it is 503; and what is no outage is not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.test import Client, RequestFactory

from aurora_site.outages import LOCK_SECONDS, Outages
from providers.models import ApiKey, Provider
from tests.providers.admin_pages import HISTORY, KEYS, LIST, page, provider, values

PASSWORD = "the-password-of-the-operator"
QUICK_HASHER = "django.contrib.auth.hashers.MD5PasswordHasher"
"""Django's own takes a third of a second, for each password that is set or checked."""
MOST_STATEMENTS = 60
FAILS = "the admin and the management API answer 503, the database fails them: "


@dataclass(frozen=True)
class Rig:
    """The superuser's browser, and what its requests speak of."""

    browser: Client
    user: User
    provider: Provider
    secret: str


Ask = Callable[[Rig, int], Any]
"""A request. The number makes its names differ from those of the last time."""


class Driver:
    """Django's door to the database: from one statement on, it fails."""

    def __init__(self) -> None:
        self.error: type[Exception] = OperationalError
        self.well = MOST_STATEMENTS
        self.failed = False

    def fail_after(self, statements: int) -> None:
        self.well, self.failed = statements, False

    def recover(self) -> None:
        self.fail_after(10_000)

    def check(self) -> None:
        self.well -= 1
        if self.well < 0:
            self.failed = True
            raise self.error("the server closed the connection unexpectedly")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    execute: Any = CursorWrapper._execute  # type: ignore[attr-defined] # the stubs leave it out
    commit: Any = BaseDatabaseWrapper._commit  # type: ignore[attr-defined] # and this
    driver = Driver()

    def failing_execute(self: Any, *arguments: Any) -> Any:
        driver.check()
        return execute(self, *arguments)

    def failing_commit(self: Any) -> Any:
        driver.check()
        return commit(self)

    driver.recover()
    monkeypatch.setattr(CursorWrapper, "_execute", failing_execute)
    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", failing_commit)
    yield driver
    driver.recover()


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    """What Django and Aurora log meanwhile."""
    kept: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    handler = Kept()
    for name in ("django", "aurora"):
        logging.getLogger(name).addHandler(handler)
    yield kept
    for name in ("django", "aurora"):
        logging.getLogger(name).removeHandler(handler)


@pytest.fixture
def rig(transactional_db: Any, settings: Any) -> Rig:
    """Whatever fails comes as the answer that a browser would get."""
    settings.PASSWORD_HASHERS = [QUICK_HASHER]
    user = User.objects.create_superuser("admin", password=PASSWORD)
    secret = ApiKey.objects.issue(name="caller", kind=ApiKey.Kind.MASTER)[1]
    return Rig(Client(raise_request_exception=False), user, provider(), secret)


def log_in(rig: Rig, number: int) -> Any:
    sent = {"username": "admin", "password": PASSWORD}
    return Client(raise_request_exception=False).post("/admin/login/", sent)


def call_with_a_key(rig: Rig, number: int) -> Any:
    """As a program does, without a session."""
    headers = {"authorization": f"Bearer {rig.secret}"}
    return Client(raise_request_exception=False).get("/api/providers", headers=headers)


def edit_by_api(rig: Rig, number: int) -> Any:
    path = f"/api/providers/{rig.provider.name}"
    return rig.browser.patch(path, {"first_byte_seconds": 100 + number}, "application/json")


REQUESTS: dict[str, Ask] = {
    "overview": lambda rig, number: rig.browser.get("/admin/"),
    "login": log_in,
    "logout": lambda rig, number: rig.browser.post("/admin/logout/"),
    "list": lambda rig, number: rig.browser.get(LIST),
    "form": lambda rig, number: rig.browser.get(page(rig.provider)),
    "add": lambda rig, number: rig.browser.post(f"{LIST}add/", values(name=f"server-{number}")),
    "keys": lambda rig, number: rig.browser.get(KEYS),
    "history": lambda rig, number: rig.browser.get(HISTORY),
    "API list": lambda rig, number: rig.browser.get("/api/providers"),
    "API edit": edit_by_api,
    "API key": lambda rig, number: rig.browser.post(
        "/api/keys", {"name": f"key {number}"}, "application/json"
    ),
    "API by key": call_with_a_key,
}


def assert_unavailable(answer: Any, why: str = "") -> None:
    assert answer.status_code == 503, (why, answer.status_code, answer.content[:300])
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "5"
    assert json.loads(answer.content)["error"]["code"] == "database_unavailable"


def assert_each_failure_is_told(rig: Rig, driver: Driver, ask: Ask) -> None:
    """The database fails at the first statement of a page, then at its second, until it is whole."""
    for number in range(MOST_STATEMENTS):
        rig.browser.force_login(rig.user)
        driver.fail_after(number)
        answer = ask(rig, number)
        failed = driver.failed
        driver.recover()
        if not failed:
            assert answer.status_code < 400, answer.content[:300]
            assert number > 0, "it never asked for anything"
            return
        assert_unavailable(answer, f"statement {number}")
    raise AssertionError(f"more than {MOST_STATEMENTS} statements")


@pytest.mark.parametrize("name", REQUESTS)
def test_whichever_statement_fails_the_page_is_503(rig: Rig, driver: Driver, name: str) -> None:
    assert_each_failure_is_told(rig, driver, REQUESTS[name])


def test_a_failure_that_a_template_swallows_makes_no_half_page(rig: Rig, driver: Driver) -> None:
    """Django takes a comparison that raises for one that is false."""
    compared = Template("{% if rows.count > 0 %}There are some.{% endif %} The end.")

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(compared.render(Context({"rows": Provider.objects.all()})))

    whole = Outages(view)(RequestFactory().get("/"))
    driver.fail_after(0)
    answer = Outages(view)(RequestFactory().get("/"))

    assert whole.content == b"There are some. The end."
    assert_unavailable(answer)


@pytest.mark.parametrize("error", [DataError, IntegrityError, ProgrammingError])
def test_a_defect_is_no_outage(rig: Rig, driver: Driver, error: type[Exception]) -> None:
    rig.browser.force_login(rig.user)
    driver.error = error
    driver.fail_after(4)

    answer = rig.browser.get(LIST)

    assert (answer.status_code, json.loads(answer.content)["error"]["code"]) == (
        500,
        "internal_error",
    )


def test_a_table_that_is_not_there_is_a_defect(rig: Rig) -> None:
    """SQLite calls it an OperationalError."""
    rig.browser.force_login(rig.user)
    with connection.schema_editor() as editor:
        editor.delete_model(LogEntry)
    try:
        answer = rig.browser.get(HISTORY)
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(LogEntry)

    assert answer.status_code == 500


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_an_outage_is_one_line_and_no_traceback(
    rig: Rig, driver: Driver, lines: list[logging.LogRecord], error: type[Exception]
) -> None:
    rig.browser.force_login(rig.user)
    driver.error = error
    for path in ("/admin/", LIST, "/api/providers"):
        driver.fail_after(1)
        assert_unavailable(rig.browser.get(path))
    driver.recover()
    assert rig.browser.get("/admin/").status_code == 200

    fails, again = [(line.levelname, line.exc_info, line.getMessage()) for line in lines]
    assert fails[:2] == ("ERROR", None)
    assert fails[2].startswith(FAILS)
    assert again == ("INFO", None, "the admin and the management API reach the database again")


@pytest.mark.django_db(transaction=True)
def test_no_page_waits_for_a_lock_longer_than_it_may() -> None:
    asked = {"postgresql": "SHOW lock_timeout", "sqlite": "PRAGMA busy_timeout"}
    told: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute(asked[connection.vendor])
            told.append(str(cursor.fetchone()[0]))
        return HttpResponse()

    outages = Outages(view)
    outages.process_view(RequestFactory().get("/"))
    outages(RequestFactory().get("/"))
    connection.close()

    assert told[0] in {f"{LOCK_SECONDS}s", f"{LOCK_SECONDS}000"}
