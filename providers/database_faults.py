"""What is wrong when the database raises: it fails, or it works and has a reason. Pure.

Only `Fault.FAILS` is an outage. A deadlock, a lock that another holds, a full disk or a schema of
another release is each told in its own words.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from enum import Enum

from django.db import Error, InterfaceError, OperationalError


class Fault(Enum):
    """The kinds of faults."""

    FAILS = "it cannot be reached, or it stops"
    UNDONE = "it undid this transaction in favour of another's"
    LOCKED = "another transaction holds what this one needs"
    SLOW = "the statement took too long"
    FULL = "its disk is full"
    READ_ONLY = "it takes no changes"
    SCHEMA = "its tables are not those of this release"
    OTHER = "the statement or the rows do not allow it"


PASSING = (Fault.UNDONE, Fault.LOCKED, Fault.SLOW)
"""What is soon over by itself."""
_BY_SQLSTATE: Mapping[str, Fault] = {
    "40001": Fault.UNDONE,  # serialization_failure
    "40P01": Fault.UNDONE,  # deadlock_detected
    "55P03": Fault.LOCKED,  # lock_not_available: lock_timeout
    "57014": Fault.SLOW,  # query_canceled: statement_timeout
    "53100": Fault.FULL,  # disk_full
    "25006": Fault.READ_ONLY,  # read_only_sql_transaction: a standby
    "42703": Fault.SCHEMA,  # undefined_column
    "42P01": Fault.SCHEMA,  # undefined_table
    "3F000": Fault.SCHEMA,  # invalid_schema_name
}
_BY_SQLITE_CODE: Mapping[int, Fault] = {
    sqlite3.SQLITE_BUSY: Fault.LOCKED,
    sqlite3.SQLITE_LOCKED: Fault.LOCKED,
    sqlite3.SQLITE_FULL: Fault.FULL,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_ERROR: Fault.OTHER,
    sqlite3.SQLITE_IOERR: Fault.FAILS,
    sqlite3.SQLITE_CANTOPEN: Fault.FAILS,
    sqlite3.SQLITE_CORRUPT: Fault.FAILS,
    sqlite3.SQLITE_NOTADB: Fault.FAILS,
    sqlite3.SQLITE_PROTOCOL: Fault.FAILS,
}
_PRIMARY_CODE = 0xFF
"""Of SQLite's extended codes, the part that these tables know."""
_SQLITE_SCHEMA = ("no such table", "no such column", "has no column named")


def fault_of(error: Error) -> Fault:
    """What is wrong, by the code that the database gave; without one it did not answer."""
    cause = error.__cause__
    sqlstate: str | None = getattr(cause, "sqlstate", None)
    if sqlstate is not None:
        return _BY_SQLSTATE.get(sqlstate, _by_class(error))
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return _by_class(error)
    if any(words in str(cause) for words in _SQLITE_SCHEMA):
        return Fault.SCHEMA
    return _BY_SQLITE_CODE.get(code & _PRIMARY_CODE, _by_class(error))


def first_fault(error: BaseException | None) -> tuple[Fault, Error] | None:
    """What is wrong where `error` is a fault of the database or came of one; None: a defect, or
    about rows. Django words some anew: a session that could not be written was deleted, it says."""
    for each in _behind(error):
        if isinstance(each, Error) and (fault := fault_of(each)) is not Fault.OTHER:
            return fault, each
    return None


def was_undone(error: Error) -> bool:
    """Whether nothing of the transaction was done, and doing it again may well succeed."""
    fault = fault_of(error)
    is_of_sqlite = hasattr(error.__cause__, "sqlite_errorcode")
    return fault is Fault.UNDONE or (fault is Fault.LOCKED and is_of_sqlite)


def _by_class(error: Error) -> Fault:
    is_failing = isinstance(error, OperationalError | InterfaceError)
    return Fault.FAILS if is_failing else Fault.OTHER


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
