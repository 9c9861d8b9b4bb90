"""Django's part while the database fails: 503 in the one shape, soon, and one log line an outage."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import Error, InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse

from aurora_site import pages
from gateway import database_refusals
from gateway.state.lane import named
from providers.database_faults import Fault, fault_of
from providers.transactions import FIRST_OF_A_READ

LOCK_SECONDS = 5
"""How long a request waits for what another holds locked."""
STATEMENT_SECONDS = 15
"""As long as a host may be silent before the system gives its connection up (see `settings`)."""
# In front of each statement, in one round trip, and for its transaction alone: a pool hands the
# connection to others, whom a session's limits would bind. What the operator has set stays.
_LIMITS = (
    "SELECT "
    + ", ".join(
        f"CASE current_setting('{name}') WHEN '0' THEN set_config('{name}', '{seconds}s', true) END"
        for name, seconds in (
            ("lock_timeout", LOCK_SECONDS),
            ("statement_timeout", STATEMENT_SECONDS),
        )
    )
    + ";"
)
HANGING_SECONDS = 1.0
"""A connection that failed only after this may have held others up."""

log = logging.getLogger("aurora.admin")


class Unavailable(pages.Refusal):
    """The answer where the database fails, or has a reason. The log may tell of `failure`."""

    def __init__(self, request: HttpRequest, fault: Fault, failure: Error) -> None:
        super().__init__(request, database_refusals.of_page(fault))
        self.fault, self.failure = fault, failure


class Outages:
    """Middleware around all that reads rows.

    Every page connects before its view is called, so that all of them answer alike; and none
    waits for long. What fails later is found by `urls`; what a template swallowed, here: half a
    page is none.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._is_well, self._hangs = True, False
        self._trying = threading.Lock()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        failures: list[Error] = []
        with connection.execute_wrapper(partial(_watched, failures)):
            answer = self._get_response(request)
        if failures and not isinstance(answer, Unavailable):
            answer = Unavailable(request, Fault.FAILS, failures[0])
        if isinstance(answer, Unavailable):
            self._tell_of(answer)
        elif connection.connection is not None:
            self._tell_of(None)
        return answer

    def process_view(self, request: HttpRequest, *view: Any) -> None:
        """Connect. Where that hangs, one at a time tries, and the others are refused at once."""
        if not self._hangs:
            self._connect()
        elif self._trying.acquire(blocking=False):
            try:
                self._connect()
            finally:
                self._trying.release()
        else:
            raise OperationalError("no connection to it has come about for some time")

    def _connect(self) -> None:
        began = time.monotonic()
        try:
            connection.ensure_connection()
            _limit_waiting()
        except (OperationalError, InterfaceError):
            self._hangs = time.monotonic() - began > HANGING_SECONDS
            raise
        self._hangs = False

    def _tell_of(self, answer: Unavailable | None) -> None:
        """One line when the database begins to fail, one when it can be reached again, and one for
        whatever else it refuses."""
        if answer is not None and answer.fault is not Fault.FAILS:
            log.error(
                "the admin or the management API answers %d, the database works but %s: %s",
                answer.status_code,
                answer.fault.value,
                named(answer.failure),
            )
        elif (answer is None) != self._is_well:
            self._is_well = answer is None
            self._tell_of_outage(answer)

    def _tell_of_outage(self, answer: Unavailable | None) -> None:
        if answer is None:
            log.info("the admin and the management API reach the database again")
        else:
            log.error(
                "the admin and the management API answer 503, the database fails them: %s",
                named(answer.failure),
            )


def _watched(failures: list[Error], execute: Callable[..., Any], sql: Any, *call: Any) -> Any:
    """Execute a statement, as Django's `execute_wrapper` has it, within the limits; note it where
    that fails."""
    _, many, context = call
    limited = connection.vendor == "postgresql" and not many and _may_be_limited(sql)
    try:
        done = execute(f"{_LIMITS} {sql}" if limited else sql, *call)
        if limited:
            context["cursor"].nextset()  # behind the result of _LIMITS
    except (OperationalError, InterfaceError) as error:
        if fault_of(error) is Fault.FAILS:  # what it works on and refuses may be tried again
            failures.append(error)
        raise
    return done


def _may_be_limited(sql: Any) -> bool:
    """After a failed statement PostgreSQL takes nothing before the way back to a savepoint, and
    nothing before the statement that says what a transaction sees. Neither waits."""
    return isinstance(sql, str) and not sql.startswith(("ROLLBACK TO SAVEPOINT", FIRST_OF_A_READ))


def _limit_waiting() -> None:
    """Of this request's connection, which is closed with it: what migrates or seeds may wait."""
    if connection.vendor == "sqlite":
        with connection.wrap_database_errors:
            connection.connection.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")
