"""What became of a call at one server: what it says of the server, and whether another is asked.
Pure.

Never once a byte has gone to the client, never after an answer that speaks of the call itself, and
after a silence only where the provider allows it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from gateway import refusals
from gateway.errors import (
    GatewayError,
    MissingRoute,
    NoServer,
    UpstreamBroke,
    UpstreamError,
    UpstreamRefusedKey,
    UpstreamStale,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamUnreadable,
)
from gateway.fleet import Place, Sight
from gateway.fleet.breaker import Breaking
from gateway.refusals import Refused, Reworded
from providers.snapshot import ProviderEntry

MOST_SENT = 3
"""Servers that may have begun on one call, or been brought down by it; also of those that break off
one stream."""
MOST_ATTEMPTS = 12
MOST_TOLD = 3
"""Servers of which an error says why they are not asked."""
MOST_RESUMED = 8
"""How often one stream is finished by another server."""
MOST_ROUNDS = 2
"""How often servers that have failed a call are asked again."""
FIRST_PAUSE_SECONDS = 0.1
MOST_PAUSE_SECONDS = 2.0
"""A server that wants to be left alone for longer is not waited for."""
NOT_IMPLEMENTED = 501
STOPPING = "it cut its answer short: it is being stopped"


def nobody(sights: Sequence[Sight], now: float) -> UpstreamError:
    """What a call is told that no server takes, each for a reason."""
    told = "; ".join(sight.why_shut(now) for sight in sights[:MOST_TOLD])
    if all(sight.entry.problem for sight in sights):
        return UpstreamError(f"The provider {told}.")
    waits = [sight.breaker.seconds_left(now) for sight in sights if sight.is_in_service]
    seconds = min(waits, default=0.0)
    return NoServer(f"No server takes calls for this model now: {told}.", seconds=seconds)


def asks_another(error: GatewayError | Refused, provider: ProviderEntry) -> bool:
    """Whether another server may be asked, the client having seen nothing."""
    if isinstance(error, UpstreamUnreadable):
        return False
    if isinstance(error, UpstreamUnreachable):
        return True
    if isinstance(error, UpstreamTimeout):
        return provider.repeats_after_timeout
    if isinstance(error, Refused):
        return error.why != refusals.OF_THE_CALL
    return isinstance(error, UpstreamBroke | UpstreamRefusedKey)


def may_have_begun(error: GatewayError | Refused) -> bool:
    """Whether the server may have been at work on the call, or been brought down by it."""
    if isinstance(error, Refused):
        return error.why not in {refusals.BUSY, refusals.MISCONFIGURED, refusals.LOOPING}
    return not isinstance(error, UpstreamUnreachable | UpstreamRefusedKey)


def may_ask_again(error: GatewayError | Refused | None) -> bool:
    """Whether the same server may be asked once more, if it is the last."""
    if isinstance(error, Refused):
        return error.why not in {refusals.MISCONFIGURED, refusals.LOOPING}
    return not isinstance(error, UpstreamRefusedKey)


def pause_seconds(error: GatewayError | Refused | None, rounds: int) -> float | None:
    """Before servers are asked again; None: not at all."""
    asked_for = error.retry_after_seconds if isinstance(error, Refused) else None
    if asked_for is not None and asked_for > MOST_PAUSE_SECONDS:
        return None
    backoff = FIRST_PAUSE_SECONDS * 2.0**rounds * random.uniform(0.5, 1.5)  # noqa: S311
    return max(backoff, asked_for or 0.0)


class Visit:
    """A call at one server: what becomes of it is told of the server, once, by `end` at the latest.

    `puts_model` is whether Aurora named the model, and not the client.
    """

    def __init__(
        self, place: Place, clock: Callable[[], float], *, puts_model: bool = True
    ) -> None:
        self._sight, self._breaker, self._sent = place.sight, place.breaker, place.sent
        self._clock, self._puts_model = clock, puts_model
        self._has_begun = self._is_told = False

    def begun(self) -> None:
        """A sound answer begins to come: that is enough for a server that gets no calls."""
        self._has_begun = True
        if self._breaker.state is not Breaking.CLOSED:
            self._succeed()

    def answered(self, status: int) -> None:
        """The whole of it was handed on. A server that says 500 works; what it was asked may be the
        reason, so it does not count as failing in a row."""
        if self._has_begun:
            return
        if status == 500 or status > NOT_IMPLEMENTED:
            self._fail(f"it answered HTTP {status}", in_a_row=False)
        else:
            self.begun()

    def failed(self, error: GatewayError | Refused | ConnectionAbortedError) -> None:
        """Also after a sound beginning. An error that is the client's or Aurora's own, such as an
        upload that stalls, says nothing of the server; nor does one within a stream that is of what
        was asked."""
        if isinstance(error, Refused):
            self._refused(error)
        elif isinstance(error, UpstreamRefusedKey):
            self._misconfigured("it refuses the key Aurora has for it")
        elif isinstance(error, ConnectionAbortedError):
            self._fail("its answer broke off")
        elif isinstance(error, UpstreamUnreadable | MissingRoute):
            self.begun()
        elif isinstance(error, UpstreamStale):
            pass  # a connection ends with each restart, and by proxies between
        elif isinstance(error, UpstreamError) or (self._has_begun and error.status >= 500):
            self._fail(error.code)  # its message may say more than is the operator's to read
        elif isinstance(error, Reworded):
            self.answered(error.status)

    def end(self) -> None:
        """Where nothing was learnt, as when the client left, nothing is told."""
        if self._has_begun and not self._is_told:
            self._succeed()

    def _refused(self, refused: Refused) -> None:
        seconds = refused.retry_after_seconds
        if seconds is not None:
            self._sight.pause(self._clock(), seconds)
        if refused.why == refusals.MISCONFIGURED:
            self._unknown_model()
        elif refused.why in {refusals.BUSY, refusals.OF_THE_CALL, refusals.LOOPING}:
            self.begun()
        else:
            self._fail(STOPPING if refused.why == refusals.STOPPED else _told(refused))

    def _unknown_model(self) -> None:
        """One of several may just have been unloaded: that says nothing of the others. Nor does a
        name that the client made up."""
        if len(self._sight.entry.models) > 1 or not self._puts_model:
            self.begun()
        else:
            self._misconfigured("it does not know the model that it listed before")

    def _succeed(self) -> None:
        self._is_told = True
        self._sent = self._breaker.succeed(self._clock(), self._sent)
        self._sight.look()

    def _misconfigured(self, reason: str) -> None:
        self._is_told = True
        self._breaker.misconfigure(self._clock(), self._sent, reason)
        self._sight.look()

    def _fail(self, reason: str, *, in_a_row: bool = True) -> None:
        self._is_told = True
        self._breaker.fail(self._clock(), self._sent, reason, in_a_row=in_a_row)
        self._sight.look()


def _told(refused: Refused) -> str:
    if refused.status == 200:
        return "its stream began with an error"
    return f"it answered HTTP {refused.status}, {refused.why}"
