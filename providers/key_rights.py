"""Who may do what to which key. Pure.

Nobody hands out more than he has, and no key changes, replaces or outlives itself by its own hand.
The rules are the same for the management API and the admin: both build `Rights`, and every edit of
`providers.key_edits` asks them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from providers.key_kinds import CLIENT, MANAGER, MASTER, THAT_MANAGE

ALL = frozenset({CLIENT, MANAGER, MASTER})
OF_KEYS = {MANAGER: frozenset({CLIENT, MANAGER}), MASTER: ALL}
"""The kinds that a key of each kind may issue, change, rotate and revoke."""
ISSUE_MANAGER = "providers.issue_manager_apikey"
ISSUE_MASTER = "providers.issue_master_apikey"
TAKE_OVER = "providers.take_over_stored_apikey"


class NotAllowed(Exception):
    """`str(error)` says what is not allowed, and what would be."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A key that something is done to."""

    id: UUID
    kind: str
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may do to keys."""

    kinds: frozenset[str]
    """Which kinds of keys he may issue, change and rotate."""
    revokes: frozenset[str] = ALL
    keeps_stored: bool = False
    """Whether a successor that he makes reads what its predecessor stored."""
    key: UUID | None = None
    """The key that acts; None: a person does."""
    until: datetime | None = None
    """When the acting key expires. No key that manages, made by it, may live longer."""

    def check_issue(self, kind: str, expires: datetime | None) -> None:
        """Raises NotAllowed."""
        self._check_kind(kind)
        if kind in THAT_MANAGE:
            self._check_span(expires)

    def check_change(self, held: Subject, kind: str, expires: datetime | None) -> None:
        """Whether `held` may become a key of `kind` that ends at `expires`. Raises NotAllowed."""
        self._check_another(held, "change")
        self._check_kind(held.kind)
        self._check_kind(kind)
        has_grown = held.kind not in THAT_MANAGE or _later(expires, held.expires)
        if kind in THAT_MANAGE and has_grown:
            self._check_span(expires)

    def check_rotate(self, held: Subject, expires: datetime | None) -> None:
        """`expires` is the successor's. Raises NotAllowed."""
        self._check_another(held, "rotate")
        self.check_issue(held.kind, expires)

    def check_revoke(self, held: Subject) -> None:
        """Raises NotAllowed."""
        if held.kind not in self.revokes:
            raise NotAllowed(f"A manager key cannot revoke a {held.kind} key.")

    def _check_another(self, held: Subject, verb: str) -> None:
        if held.id == self.key:
            raise NotAllowed(
                f"A key cannot {verb} itself. Use another key, or {verb} it in the admin."
            )

    def _check_kind(self, kind: str) -> None:
        if kind in self.kinds:
            return
        if self.key:
            raise NotAllowed(f"A manager key cannot issue, change or rotate a {kind} key.")
        raise NotAllowed(f"Your user lacks the permission to issue, change or rotate {kind} keys.")

    def _check_span(self, expires: datetime | None) -> None:
        if _later(expires, self.until):
            raise NotAllowed(
                "A manager or master key cannot live longer than the key that makes it, which"
                f" expires at {self.until:%Y-%m-%dT%H:%M:%SZ}: set an earlier `expires`."
            )


def of_key(id: UUID, kind: str, expires: datetime | None) -> Rights:
    """Of a manager or master key. A master key is trusted with what other keys stored."""
    kinds = OF_KEYS.get(kind, frozenset())
    return Rights(kinds, kinds, keeps_stored=kind == MASTER, key=id, until=expires)


def of_person(has_permission: Callable[[str], bool]) -> Rights:
    """Of a user who may edit keys at all. Whoever issues master keys has all that managers do."""
    kinds = {CLIENT}
    if has_permission(ISSUE_MASTER):
        kinds |= {MANAGER, MASTER}
    elif has_permission(ISSUE_MANAGER):
        kinds |= {MANAGER}
    return Rights(frozenset(kinds), keeps_stored=has_permission(TAKE_OVER))


def _later(one: datetime | None, other: datetime | None) -> bool:
    """None: never ends."""
    if other is None:
        return False
    return one is None or one > other
