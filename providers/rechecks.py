"""Servers that are to be asked again at once what they serve: somebody noticed that it may have
changed. For any thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID


class Rechecks:
    """Whoever notices calls `want`; `Background` takes what is wanted, and listens for more."""

    def __init__(self) -> None:
        self._wanted: set[UUID] = set()
        self._told: Callable[[], None] = _nobody_listens

    def want(self, provider: UUID) -> None:
        """Ask the provider's server soon. Wanting it again before it was asked costs nothing."""
        if provider not in self._wanted:
            self._wanted.add(provider)
            self._told()

    def listen(self, told: Callable[[], None]) -> None:
        """Have `told` called, by whichever thread, when there is something new."""
        self._told = told

    def stop_listening(self) -> None:
        self._told = _nobody_listens

    def is_wanted(self, provider: UUID) -> bool:
        return provider in self._wanted

    def begin(self, provider: UUID) -> None:
        """It is being asked: what is wanted from now on is wanted anew."""
        self._wanted.discard(provider)

    def keep_only(self, providers: Iterable[UUID]) -> None:
        """Forget those that are gone."""
        if self._wanted:
            self._wanted.intersection_update(providers)


def _nobody_listens() -> None:
    pass
