"""Whether whoever began something may go on with it: keys are revoked, retired, changed, and expire
while calls run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from uuid import UUID

from gateway.auth import authenticate
from gateway.errors import Unauthorized
from gateway.headers import Headers
from providers.snapshot import NOT_LOADED, Snapshot

CHECK_SECONDS = 0.5
"""Whoever waits, or works beside any call, asks this often."""
OVER = "The key of this call has been revoked, or has expired."

KeyCheck = Callable[[], None]
"""Raises Unauthorized, or NotPermitted, once the key is none for calls any more."""


class Standing:
    """What the newest snapshot says of it. `current` gives that."""

    def __init__(self, current: Callable[[], Snapshot] = lambda: NOT_LOADED) -> None:
        self._current, self._of = current, NOT_LOADED
        self._until: Mapping[UUID, datetime | None] = MappingProxyType({})

    def check_of(self, headers: Headers) -> KeyCheck:
        """Of a call: the key that it showed counts."""

        def check() -> None:
            authenticate(headers, self._current())

        return check

    def check_of_owner(self, owner: UUID) -> KeyCheck:
        """Of what runs for an owner: any usable key of the same owner counts, such as the successor
        of the one that began it."""

        def check() -> None:
            if not self.stands(owner):
                raise Unauthorized(OVER)

        return check

    def stands(self, owner: UUID) -> bool:
        """Whether the owner has a key that calls are taken with."""
        snapshot = self._current()
        if snapshot is not self._of:
            self._of, self._until = snapshot, _until(snapshot)
        if owner not in self._until:
            return False
        until = self._until[owner]
        return until is None or until > datetime.now(UTC)


def _until(snapshot: Snapshot) -> Mapping[UUID, datetime | None]:
    """When the last key for calls expires, of each owner; None: never."""
    ends: dict[UUID, list[datetime | None]] = {}
    for key in snapshot.keys.values():
        if key.may_call:
            ends.setdefault(key.owner, []).append(key.expires)
    return {owner: _last(each) for owner, each in ends.items()}


def _last(ends: list[datetime | None]) -> datetime | None:
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None
