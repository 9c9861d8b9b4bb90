"""Who holds how much of what is bounded, so that whoever holds most makes room for the others. Pure.

Every question is answered in constant time: it is asked when there is too much already.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Generic, TypeVar

T = TypeVar("T")
IPV6_SITE_BITS = 64


def subscriber(address: str) -> str:
    """Whose `address` is: an IPv4 address, or an IPv6 /64, which is one subscriber's. "" of what is
    no address, such as a Unix socket's."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if parsed.version == 4:
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped or ip_network((int(parsed), IPV6_SITE_BITS), strict=False))


class Tally:
    """How many each owner holds."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._ranks: dict[int, dict[str, None]] = {}
        self._most = 0
        self.total = 0

    def count(self, owner: str) -> int:
        return self._counts.get(owner, 0)

    def add(self, owner: str) -> None:
        self.total += 1
        self._move(owner, 1)

    def remove(self, owner: str) -> None:
        self.total -= 1
        self._move(owner, -1)

    def greediest(self) -> str:
        """The owner that holds most. There must be one."""
        return next(iter(self._ranks[self._most]))

    def _move(self, owner: str, step: int) -> None:
        """To the owners that hold one more, or one less."""
        old = self._counts.get(owner, 0)
        new = old + step
        if old:
            del self._ranks[old][owner]
            if not self._ranks[old]:
                del self._ranks[old]
        if new:
            self._counts[owner] = new
            self._ranks.setdefault(new, {})[owner] = None
        else:
            del self._counts[owner]
        if new > self._most or self._most not in self._ranks:
            self._most = new


class Holders(Generic[T]):
    """What each owner holds, oldest first."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._held: dict[str, dict[T, None]] = {}

    def __len__(self) -> int:
        return self._tally.total

    def count(self, owner: str) -> int:
        return self._tally.count(owner)

    def add(self, owner: str, held: T) -> None:
        self._held.setdefault(owner, {})[held] = None
        self._tally.add(owner)

    def discard(self, owner: str, held: T) -> bool:
        """Whether it was there."""
        owned = self._held.get(owner)
        if owned is None or held not in owned:
            return False
        del owned[held]
        if not owned:
            del self._held[owner]
        self._tally.remove(owner)
        return True

    def greediest(self) -> str:
        """The owner that holds most. There must be one."""
        return self._tally.greediest()

    def of(self, owner: str) -> Iterator[T]:
        """What it holds, oldest first."""
        return iter(self._held.get(owner, ()))

    def newest_of(self, owner: str) -> T:
        """What it came to hold last. There must be something."""
        return next(reversed(self._held[owner]))
