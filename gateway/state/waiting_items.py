"""The items of copies that wait to be written, found by their ids."""

from __future__ import annotations

from uuid import UUID

from gateway.state.values import Copy, item_id


class WaitingItems:
    """One step a look-up, however many copies wait and whoever's they are."""

    def __init__(self) -> None:
        self._found: dict[tuple[UUID, str], dict[str, bytes]] = {}
        """By owner and item id: the item by the response that it is of, oldest first."""
        self._ids: dict[tuple[UUID, str], list[str]] = {}
        """By owner and response id: each item id once, so that no item is read again."""

    def add(self, copy: Copy) -> None:
        """Of two with one id the newer copy's counts; within a copy the first, output foremost."""
        ids = self._ids[copy.owner, copy.id] = []
        for item in (*copy.output, *copy.items):
            if not (id := item_id(item)):
                continue
            of_copies = self._found.setdefault((copy.owner, id), {})
            if copy.id not in of_copies:
                of_copies[copy.id] = item
                ids.append(id)

    def remove(self, copy: Copy) -> None:
        """Once more does nothing."""
        for id in self._ids.pop((copy.owner, copy.id), ()):
            of_copies = self._found[copy.owner, id]
            del of_copies[copy.id]
            if not of_copies:
                del self._found[copy.owner, id]

    def newest(self, owner: UUID, id: str) -> bytes | None:
        of_copies = self._found.get((owner, id))
        return None if of_copies is None else next(reversed(of_copies.values()))
