"""One call's search for a server: which is next, and whether there is a next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from uuid import UUID

from gateway import failover, refusals
from gateway.errors import GatewayError, NoServer, TooBusy, UpstreamStale
from gateway.fleet import Fleet, LineFull, Patience, Place, Sight
from gateway.refusals import Refused
from gateway.relay import Interrupted
from gateway.routing import Pool, Session, Tier, Way
from gateway.views.exchange import Exchange

BUSY = "Every server of this model has as many calls as it may; try again soon."


class Search:
    """Begin it once the call is read. `pool` says where it may go, as things are when it is asked;
    `owner` waits in turns with others; `session` finds that by which a call comes back to the
    server it was at before, or is None for a call of no session."""

    def __init__(
        self,
        exchange: Exchange,
        pool: Callable[[], Pool],
        owner: UUID,
        session: Callable[[], Session] | None = None,
    ) -> None:
        self._exchange, self._fleet = exchange, exchange.fleet
        self._pool, self._owner = pool, owner
        self._find_session = session
        self._session: Session | None = None
        self._tried: set[UUID] = set()
        self._missing: set[tuple[UUID, str]] = set()
        """Servers and paths that turned out not to be there."""
        self._unknown: set[tuple[UUID, str]] = set()
        """Servers and models that they turned out not to know."""
        self._broken: set[UUID] = set()
        """Servers that broke off what they were telling: it may be the call that brings them down."""
        self._stale: set[UUID] = set()
        """Servers whose kept-alive connection had ended."""
        self._rounds = self._sent = self._resumed = 0
        self.attempts = self._attempts_before = 0
        self._fleet.look()
        self._fleet.budget.earn()

    async def place(self) -> Place | None:
        """The next server, with one of its places taken: the caller gives it back. It may wait in
        line. None: nobody is left who has not failed this call.

        Raises TooBusy, NoServer, UpstreamError where no server's row can be used, Unauthorized where
        the call waited or failed and its key is over by now, and what `pool` raises.
        """
        if self.attempts:
            self._exchange.check_key()
        asked: set[str] = set()
        is_busy = False
        while (found := self._next_tier(asked)) is not None:
            pool, tier = found
            asked.add(tier.name)
            try:
                place = self._free(pool, tier) or await self._waited(pool, tier)
            except LineFull:
                place = None
            if place is not None:
                return self._counted(place)
            is_busy = is_busy or bool(self._usable(tier))
        if is_busy:
            raise TooBusy(BUSY)
        pool = self._pool()
        place = self._last_resort(pool)
        if place is None and not self.attempts:
            raise self._nobody(pool)
        return place and self._counted(place)

    async def first_place(self) -> Place:
        """For a call that can be sent only once. Raises as `place`."""
        place = await self.place()
        if place is None:
            raise NoServer("No server takes this call now.")
        return place

    def _next_tier(self, asked: set[str]) -> tuple[Pool, Tier] | None:
        """Things may have changed while the call waited for the one before."""
        pool = self._pool()
        tier = next((tier for tier in pool.tiers if tier.name not in asked), None)
        return None if tier is None else (pool, tier)

    def _counted(self, place: Place) -> Place:
        if self._session is not None:
            self._fleet.note_sent(self._session, place.sight)
        self.attempts += 1
        return place

    def _usable(self, tier: Tier) -> Sequence[int]:
        has_tried = bool(self._tried or self._missing or self._unknown)
        if not has_tried and self._fleet.are_all_open(tier):
            return range(len(tier.ways))
        now = self._fleet.now()
        return [
            number
            for number, sight in enumerate(self._fleet.sights(tier))
            if (not sight.is_shut or sight.admits(now))  # mostly spares the call
            and (not has_tried or self._is_untried(tier.ways[number]))
        ]

    def _is_untried(self, way: Way) -> bool:
        id = way.provider.id
        lacks = (id, way.path) in self._missing or (id, way.target.model) in self._unknown
        return not lacks and id not in self._tried

    def _free(self, pool: Pool, tier: Tier) -> Place | None:
        return self._best(pool, tier, self._usable(tier))

    def _best(self, pool: Pool, tier: Tier, usable: Sequence[int]) -> Place | None:
        """The best server that has room. Where somebody waits for a server, it has none: what is
        given back goes to them."""
        sights = self._fleet.sights(tier)
        for number in self._ordered(pool, tier, usable):
            if sights[number].has_room:
                return self._fleet.take(tier.ways[number], sights[number])
        return None

    def _ordered(self, pool: Pool, tier: Tier, numbers: Sequence[int]) -> Iterable[int]:
        if len(numbers) < 2:
            return numbers
        return self._fleet.ordered(pool, tier, numbers, self._session_in(pool, tier))

    def _session_in(self, pool: Pool, tier: Tier) -> Session | None:
        """What the call's session is, where the policy asks for it."""
        if pool.policy == "affinity" and self._find_session is not None:
            self._session, self._find_session = self._find_session(), None
            self._fleet.note_prefix(self._session, tier)
        return self._session

    async def _waited(self, pool: Pool, tier: Tier) -> Place | None:
        """A place that became free in time, where the tier leads by then. Raises LineFull, and what
        `pool` raises."""
        until, place = self._fleet.now() + pool.queue_seconds, None
        while place is None and self._usable(tier) and (left := until - self._fleet.now()) > 0:
            patience = self._patience(pool, tier, left)
            place = await self._fleet.wait(tier, patience, partial(self._waits_on, tier))
            self._check_key_with(place)
            if self._leads_on(tier):
                break
            if place is not None:
                self._fleet.give_back(place)
            found = self._same(tier)
            if found is None:
                return None
            tier = found
            place = self._free(pool, tier)
        return place

    def _check_key_with(self, place: Place | None) -> None:
        """Whoever waited may have lost the right to what he waited for: then it is given back."""
        try:
            self._exchange.check_key()
        except GatewayError:
            if place is not None:
                self._fleet.give_back(place)
            raise

    def _patience(self, pool: Pool, tier: Tier, seconds: float) -> Patience:
        untried = [number for number, way in enumerate(tier.ways) if self._is_untried(way)]
        left = {tier.ways[number].provider.id for number in untried}
        tried = frozenset(way.provider.id for way in tier.ways) - left
        ways = tuple(self._ordered(pool, tier, untried)) if tier.models else ()
        return Patience(self._owner, pool.queue_calls, seconds, tried, ways)

    def _waits_on(self, tier: Tier) -> bool:
        self._exchange.check_key()
        return self._leads_on(tier) and bool(self._usable(tier))

    def _leads_on(self, tier: Tier) -> bool:
        """Whether the tier leads where it did."""
        try:
            found = self._same(tier)
        except GatewayError:  # the model has gone
            return False
        return found is not None and _leads(found) == _leads(tier)

    def _same(self, tier: Tier) -> Tier | None:
        """The tier as it is by now."""
        self._fleet.look()
        return next((each for each in self._pool().tiers if each.name == tier.name), None)

    def _last_resort(self, pool: Pool) -> Place | None:
        """A server that probes find unwell, or that wants to be left alone: better than nobody. Where
        all are so, as where a proxy keeps probes from them, they share the calls as ever."""
        now = self._fleet.now()
        for tier in pool.tiers:
            able = [
                number
                for number, sight in enumerate(self._fleet.sights(tier))
                if sight.allows(now) and self._is_untried(tier.ways[number])
            ]
            place = self._best(pool, tier, able)
            if place is not None:
                return place
        return None

    def _nobody(self, pool: Pool) -> GatewayError:
        sights, now = _sights(self._fleet, pool), self._fleet.now()
        if len(sights) == 1:
            self._exchange.record.provider = sights[0].entry.name
        if any(sight.allows(now) for sight in sights):  # also the last resorts have no room
            return TooBusy(BUSY)
        return failover.nobody(sights, now)

    async def goes_on(self, place: Place, error: GatewayError | Refused) -> bool:
        """Whether another server is asked after this failure; waits where the same ones are.

        The client must not have seen anything yet.
        """
        provider = place.way.provider
        if not failover.asks_another(error, provider) or self._is_key_over():
            return False
        if isinstance(error, Refused) and error.why == refusals.MISCONFIGURED:
            self._unknown.add((provider.id, place.way.target.model))
        elif isinstance(error, UpstreamStale) and provider.id not in self._stale:
            self._stale.add(provider.id)  # that says nothing of the server: it may be asked again
        else:
            self._tried.add(provider.id)
        self._sent += failover.may_have_begun(error)
        if self._sent >= failover.MOST_SENT or self._is_over():
            return False
        if self._has_others():
            return self._fleet.budget.spend(self._fleet.now())
        return await self._begins_again(error)

    def goes_another_way(self, place: Place) -> None:
        """The server has no such route, and executed nothing: another way is next."""
        self._missing.add((place.way.provider.id, place.way.path))

    def _is_over(self) -> bool:
        return self.attempts - self._attempts_before >= failover.MOST_ATTEMPTS

    async def finds_another(self, place: Place, broke: Interrupted) -> bool:
        """Whether another server is asked to finish what the client has in part. Where no other is
        left, servers that failed it earlier may be back by now."""
        id = place.way.provider.id
        self._resumed += 1
        self._tried.add(id)
        if not self._has_others():
            self._tried = {id}
        self._sent = self._rounds = 0
        self._attempts_before = self.attempts
        if not broke.is_stopping:
            self._broken.add(id)
        if (
            self._is_key_over()
            or self._resumed > failover.MOST_RESUMED
            or len(self._broken) >= failover.MOST_SENT
        ):
            return False
        if self._has_others():
            return self._fleet.budget.spend(self._fleet.now())
        return await self._begins_again(None)

    def _is_key_over(self) -> bool:
        try:
            self._exchange.check_key()
        except GatewayError:
            return True
        return False

    def _has_others(self) -> bool:
        """Nor are there any where the model itself is gone by now."""
        now = self._fleet.now()
        try:
            pool = self._pool()
        except GatewayError:
            return False
        return any(
            self._is_untried(way) and sight.allows(now)
            for tier in pool.tiers
            for way, sight in zip(tier.ways, self._fleet.sights(tier), strict=True)
        )

    async def _begins_again(self, error: GatewayError | Refused | None) -> bool:
        seconds = failover.pause_seconds(error, self._rounds)
        if seconds is None or self._rounds >= failover.MOST_ROUNDS:
            return False
        if not failover.may_ask_again(error) or not self._fleet.budget.spend(self._fleet.now()):
            return False
        self._rounds += 1
        await self._fleet.sleep(seconds)
        self._tried.clear()
        return True


def _sights(fleet: Fleet, pool: Pool) -> list[Sight]:
    """Each once, in however many tiers it is."""
    return list(dict.fromkeys(sight for tier in pool.tiers for sight in fleet.sights(tier)))


def _leads(tier: Tier) -> list[tuple[UUID, str]]:
    return [(way.provider.id, way.target.model) for way in tier.ways]
