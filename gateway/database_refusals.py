"""What a client is told where the database raises: an outage is one thing, a reason another."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import (
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnavailable,
    GatewayError,
    SchemaMismatch,
    StateUnavailable,
)
from providers.database_faults import Fault

_FAILS = "The database does not answer, and what was asked for may not be done. Try again soon."
_FULL = "The disk of the database is full, so nothing can be kept. Make room, then try again."
_SCHEMA = (
    "The database's tables are not those of this release: migrate it, or run the release that did."
)
_READ_ONLY = "The database takes no changes at the moment, as a standby does. Nothing was done."
_PAGES: Mapping[Fault, tuple[type[GatewayError], str]] = {
    Fault.FAILS: (DatabaseUnavailable, _FAILS),
    Fault.UNDONE: (DatabaseBusy, "Other changes came first, again and again. Nothing was done."),
    Fault.LOCKED: (DatabaseBusy, "Another change takes long and holds what is needed."),
    Fault.SLOW: (DatabaseBusy, "The database took too long. What was asked for was not done."),
    Fault.FULL: (DatabaseFull, _FULL),
    Fault.READ_ONLY: (DatabaseUnavailable, _READ_ONLY),
    Fault.SCHEMA: (SchemaMismatch, _SCHEMA),
}
_STATE: Mapping[Fault, str] = {
    Fault.FAILS: "The database does not answer. Try again soon.",
    Fault.UNDONE: "The database is busy with other changes. Try again soon.",
    Fault.LOCKED: "The database is busy with other changes. Try again soon.",
    Fault.SLOW: "The database is slow at the moment. Try again soon.",
    Fault.FULL: _FULL,
    Fault.READ_ONLY: _READ_ONLY,
    Fault.SCHEMA: _SCHEMA,
    Fault.OTHER: "The database refused what was to be kept.",
}


def of_page(fault: Fault) -> GatewayError:
    """For the admin and the management API. Not for `Fault.OTHER`, which is a defect."""
    kind, text = _PAGES[fault]
    return kind(text)


def of_state(fault: Fault) -> StateUnavailable:
    """For a call that needs what its caller owns."""
    return StateUnavailable(_STATE[fault])
