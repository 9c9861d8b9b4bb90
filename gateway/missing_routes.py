"""Which routes servers turned out to lack, where they do not say which they have. Pure.

A vLLM server whose /openapi.json is closed tells by its first 404: for a route it does not have,
the body is that of its framework, and nothing was executed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from uuid import UUID

from gateway.endpoints import TOKENIZER
from providers.snapshot import ProviderEntry

REMEMBERED_SECONDS = 300.0
"""A server may be started anew with another model, or a newer vLLM."""
MOST_REMEMBERED = 10_000
ASKED_BY_GET = frozenset({TOKENIZER})
"""What a server says of its routes tells of those that take a POST alone."""
TRANSLATED_ON_REQUEST = frozenset({"/v1/responses", "/v1/messages", "/v1/messages/count_tokens"})
"""By these a provider whose translation is "always" is not called."""


_Key = tuple[UUID, object, str]


class MissingRoutes:
    """What this process has learnt, for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[_Key, float] = {}
        self._models: dict[_Key, frozenset[str]] = {}
        """What the server served when it was noted."""
        self._version, self._first_end = 0, inf

    @property
    def version(self) -> int:
        """Another number each time that something was learnt or forgotten."""
        now = self._clock()
        if now >= self._first_end:
            self._until = {key: until for key, until in self._until.items() if until > now}
            self._models = {key: self._models[key] for key in self._until}
            self._changed()
        return self._version

    def _changed(self) -> None:
        self._first_end = min(self._until.values(), default=inf)
        self._version += 1

    def note(self, provider: ProviderEntry, path: str) -> None:
        """`provider` just said that it has no such route. Forgotten after REMEMBERED_SECONDS."""
        if len(self._until) >= MOST_REMEMBERED:
            self._until.clear()
            self._models.clear()
        now, key = self._clock(), _key(provider, path)
        is_known = self._is_noted(provider, path)
        self._until[key] = now + REMEMBERED_SECONDS
        self._models[key] = frozenset(provider.models)
        if not is_known:
            self._changed()

    def lacks(self, provider: ProviderEntry, path: str) -> bool:
        """Whether `provider` is not to be called by `path`: it has no such route, as it says or as
        was seen; or it is set to be spoken to in chat completions only."""
        if provider.translation == "always" and path in TRANSLATED_ON_REQUEST:
            return True
        if provider.routes is not None and path not in provider.routes | ASKED_BY_GET:
            return True
        return bool(self._until) and self._is_noted(provider, path)

    def _is_noted(self, provider: ProviderEntry, path: str) -> bool:
        """A server that has none of its models any more was started anew: nothing is known of it."""
        key = _key(provider, path)
        if self._clock() >= self._until.get(key, 0.0):
            return False
        return not self._models[key].isdisjoint(provider.models)


def _key(provider: ProviderEntry, path: str) -> _Key:
    return provider.id, provider.address, path
