"""What a choice looks at of all servers of a tier at once. It is kept from call to call: to look at
each of hundreds of servers anew would cost more than all else. It belongs to one event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.fleet.sight import MOST_CHANGES, Changes, Sight


class Overview:
    """Of one tier: its servers, by the numbers of its ways."""

    def __init__(self, sights: Sequence[Sight], changes: Changes) -> None:
        self.sights = sights
        self.numbers: Mapping[Sight, Sequence[int]] = _numbers(sights)
        """Of each server's ways."""
        self._changes = changes
        self._calls: list[float] = []
        self._are_all_open = False
        self._loads_known, self._turns_known = -MOST_CHANGES - 1, -1
        """How many changes there had been when these were told."""

    def calls(self) -> Sequence[float]:
        """The load of each. The list is the same each time, brought up to date: read it before
        anybody else has a turn."""
        changed = self._changes.loaded_since(self._loads_known)
        if changed is None:
            self._calls = [sight.calls for sight in self.sights]
        else:
            for sight in changed:
                for number in self.numbers.get(sight, ()):
                    self._calls[number] = sight.calls
        self._loads_known = self._changes.loads
        return self._calls

    def are_all_open(self) -> bool:
        """Whether each surely takes a call."""
        if self._turns_known != self._changes.turns:
            self._turns_known = self._changes.turns
            self._are_all_open = not any(sight.is_shut for sight in self.sights)
        return self._are_all_open


def _numbers(sights: Sequence[Sight]) -> dict[Sight, list[int]]:
    found: dict[Sight, list[int]] = {}
    for number, sight in enumerate(sights):
        found.setdefault(sight, []).append(number)
    return found
