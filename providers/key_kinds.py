"""The kinds of callers' keys, and what each is for. Pure."""

from __future__ import annotations

CLIENT, MANAGER, MASTER = "client", "manager", "master"
THAT_CALL = frozenset({CLIENT, MASTER})
"""Accepted on /v1 and /p."""
THAT_MANAGE = frozenset({MANAGER, MASTER})
"""Accepted on /api."""
NO_CALLS = (
    "This is a manager key, which is for the management API alone. A call needs a client or master"
    " key."
)
NO_MANAGEMENT = (
    "This is a client key, which is for calls alone. The management API needs a manager or master"
    " key."
)
