"""A call on its way to the server that answers it: the steps that all calls share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from gateway import calls, dialects, failover, forms, refusals
from gateway.abilities import NO_ABILITIES
from gateway.auth import Caller
from gateway.endpoints import CHAT, COMPLETIONS, INVOCATIONS, MESSAGES, RESPONSES, STREAMED
from gateway.errors import GatewayError, MissingRoute, UpstreamError, UpstreamStale
from gateway.fleet import Place
from gateway.memory import TRANSLATED_COPIES
from gateway.offload import INLINE_BYTES
from gateway.refusals import Lacks, Refused
from gateway.relay import (
    EVENT_STREAM,
    STREAM_HEADERS,
    UNWATCHED,
    Delivery,
    Interrupted,
    Watcher,
    hand_on,
    pinging,
    relay,
)
from gateway.resuming import Sentence, sentence
from gateway.routing import Pool, Session, Way
from gateway.routing import session as session_of
from gateway.translation import Translation
from gateway.upstream import Outgoing
from gateway.views.exchange import Exchange, Members, Pairs, outgoing
from gateway.views.search import Search

WITH_SESSIONS = frozenset({CHAT, COMPLETIONS, MESSAGES, RESPONSES, INVOCATIONS, f"{CHAT}/batch"})
"""Routes whose servers have prefixes of prompts cached."""

Translate = Callable[[Way], Translation | None]
"""The call in the dialect of the way it goes; None: as the client put it."""


def natively(_: Way) -> None:
    """A `Translate` for what every server of the call's path speaks."""


@dataclass(slots=True)
class Asked:
    """A call, and how it is put for each way that it may go, until it is let go.

    A view that keeps nothing else of the call keeps none of its body in memory while the answer
    runs, which may be for hours.
    """

    caller: Caller
    call: calls.Call | forms.Form = field(repr=False)
    translate: Translate = natively
    watcher: Watcher | None = None
    added: Pairs = ()
    """Headers of the answer."""
    sentence: Sentence | None = field(default=None, repr=False)
    """What is told so far of a stream that another server may finish."""
    said_model: str = ""
    """What its answer is to say as its `model`; empty: what the server says."""
    prompt: Members = field(default_factory=dict, repr=False)
    """What is sent, where that is more than the call says; it tells which session the call is of."""
    size_bytes: int = 0
    """Of `prompt`, where that is more than the call says."""
    kept_bytes: int = 0
    """Of what `watcher` holds of the call, while its answer runs."""
    _translation: Translation | None = None

    async def put(self, exchange: Exchange, way: Way) -> tuple[Outgoing, Delivery]:
        """What is sent by `way`, and how its answer is handed on. Raises what `translate` does."""
        body = await exchange.offload.run_to_the_end(self.most_bytes, self._body, way)
        translation = self._translation
        delivery = Delivery(
            model=way.target.model,
            path=way.path,
            dialect=exchange.dialect,
            translation=translation,
            uses=translation.uses if translation else NO_ABILITIES,
            sentence=self.sentence,
            said_model=self.said_model,
            watcher=self.watcher or UNWATCHED,
            added=self.added,
            begun=partial(self._begun, exchange),
            offload=exchange.offload,
        )
        return outgoing(exchange, way.provider, way.path, body), delivery

    def _body(self, way: Way) -> bytes:
        self._translation = translation = self.translate(way)
        return translation.body if translation else self._native(way)

    def _native(self, way: Way) -> bytes:
        if self.sentence is None:
            return self.call.body_for(way.target.model)
        self.sentence.begin()
        return self.sentence.body(way.target.model)

    def _begun(self, exchange: Exchange) -> None:
        self.let_go()
        if self.sentence is None:
            exchange.client.charge.hold_body(self.kept_bytes, 1)

    def let_go(self) -> None:
        """The call was answered: of what it said, only how its answer is brought back is needed. A
        sentence keeps it, for the server that may be asked for the rest."""
        if self.sentence is None:
            self.call = calls.Call(self.call.selector, {})
            self.translate, self.prompt = natively, {}
        if self._translation is not None:
            self._translation.body = b""

    @property
    def most_bytes(self) -> int:
        """About what there is to read for whoever puts the call."""
        said = self.call.size_bytes if isinstance(self.call, calls.Call) else 0
        return max(self.size_bytes, said)

    async def session(self, exchange: Exchange) -> Callable[[], Session] | None:
        """The call's session, worked out where it is asked for: before it is let go. That of a large
        call is worked out now."""
        headers, owner = exchange.client.request.headers, self.caller.key.owner
        if exchange.endpoint.path not in WITH_SESSIONS or self._said is None:
            return None
        if self.most_bytes <= INLINE_BYTES:
            return lambda: session_of(headers, self._said or {}, owner)
        found = await exchange.offload.run(self.most_bytes, session_of, headers, self._said, owner)
        return lambda: found

    def is_streamed(self, exchange: Exchange) -> bool:
        """Whether it asks for a stream, of a route that has them."""
        is_asked = calls.is_true((self._said or {}).get("stream"))
        return is_asked and exchange.endpoint.path in STREAMED

    @property
    def _said(self) -> Members | None:
        """None of a form."""
        return self.prompt or getattr(self.call, "members", None)


Put = Callable[[Way], Awaitable[tuple[Outgoing, Delivery]]]


async def deliver_asked(exchange: Exchange, asked: Asked) -> None:
    """Send the call by the best way that there turns out to be, natively if it can be; and where a
    server fails it before the client has seen anything, to the next. Raises as `deliver_found`."""

    def pool() -> Pool:
        paths = exchange.endpoint.upstream_paths
        return exchange.pools.find(asked.call.selector, exchange.fleet.look(), paths)

    await _settle(exchange, asked, pool())
    if asked.translate is not natively:
        exchange.client.charge.hold_body(asked.most_bytes, TRANSLATED_COPIES)
    if asked.is_streamed(exchange):
        exchange.client.waiting.begin(lambda: early_head(exchange, asked.added))
    search = Search(exchange, pool, asked.caller.key.owner, await asked.session(exchange))
    try:
        await deliver_found(exchange, search, lambda way: asked.put(exchange, way))
    except Interrupted as broke:
        await _ended(exchange, asked, broke.error)


def early_head(exchange: Exchange, added: Pairs = ()) -> list[tuple[bytes, bytes]]:
    """The head of a stream for a client that waits while its server is looked for."""
    told = dialects.headers(exchange.dialect, exchange.client.request.id)
    return [EVENT_STREAM, *STREAM_HEADERS, *told, *added, *exchange.record.told_attempts]


async def _settle(exchange: Exchange, asked: Asked, pool: Pool) -> None:
    """What an alias says of how its answers are told."""
    if pool.says_asked_model:
        asked.said_model = asked.call.selector
    if pool.resumes and isinstance(asked.call, calls.Call):
        call, path = asked.call, exchange.endpoint.path
        asked.sentence = await exchange.offload.run(call.size_bytes, sentence, path, call.members)


async def _ended(exchange: Exchange, asked: Asked, error: UpstreamError) -> None:
    """No server finishes the sentence: its client is told so. Raises `error`."""
    if asked.sentence is not None:
        await exchange.client.write(asked.sentence.broken(error), more=False)
    raise error


def first_way(exchange: Exchange, selector: str) -> tuple[Way, str]:
    """One of the ways that a call may go, and what its answer will say as its `model`.

    Raises UnknownModel, ModelsUnknown or UnsupportedEndpoint.
    """
    pool = exchange.pools.find(selector, exchange.snapshot, exchange.endpoint.upstream_paths)
    way = pool.tiers[0].ways[0]
    return way, selector if pool.says_asked_model else way.target.model


async def deliver_found(exchange: Exchange, search: Search, put: Put) -> None:
    """Send the call, as `put` puts it, to the servers that `search` finds, until one answers.

    It ends, because missing routes and what servers lack are remembered, and failures are counted.
    Raises what `Search.place`, `put`, `Door.send` and `relay` raise; Interrupted where a sentence is
    not whole and nobody goes on.
    """
    failed: GatewayError | Refused | Interrupted | None = None
    while (place := await _found(exchange, search, failed)) is not None:
        had_begun = exchange.client.has_begun
        try:
            with _visiting(exchange, place) as visit:
                await deliver(exchange, place, visit, *await put(place.way))
            return
        except MissingRoute as missing:
            failed = failed or missing
            search.goes_another_way(place)
        except Lacks as lacks:
            failed = failed or lacks
            provider, model = place.way.provider, place.way.target.model
            exchange.abilities.note_lack(provider, model, lacks.ability)
        except Interrupted as broke:
            failed = broke
            if not broke.can_go_on or not await search.finds_another(place, broke):
                break
        except (GatewayError, Refused) as error:
            if not had_begun:  # else a sentence ends with what first broke it off
                failed = error
            begins = exchange.client.has_begun is not had_begun
            if begins or not await search.goes_on(place, error):
                break
    if isinstance(failed, Refused):
        await _handed_on(exchange, failed)
    elif failed is not None:
        raise failed


async def _found(exchange: Exchange, search: Search, failed: Exception | None) -> Place | None:
    """The next place. A sentence for which none is to be had ends with what broke it off; its client
    is told meanwhile that it goes on, since it may wait in line."""
    if not isinstance(failed, Interrupted):
        return await search.place()
    try:
        async with pinging(exchange.client, Sentence.ping):
            return await search.place()
    except GatewayError:
        raise failed from None


@contextmanager
def _visiting(exchange: Exchange, place: Place) -> Iterator[failover.Visit]:
    """Within, the place is taken; whatever happens, its server is not left on trial."""
    visit = failover.Visit(place, exchange.fleet.now, puts_model=bool(place.way.target.model))
    with exchange.fleet.visiting(place):
        try:
            yield visit
        finally:
            visit.end()


async def deliver_once(
    exchange: Exchange, place: Place, going: Outgoing, delivery: Delivery
) -> None:
    """As `deliver_found`, for a call that no other server is asked for."""
    try:
        with _visiting(exchange, place) as visit:
            try:
                await deliver(exchange, place, visit, going, delivery)
            except UpstreamStale:
                if not (_is_a_question(going) and _may_repeat(exchange)):
                    raise
                exchange.check_key()
                await deliver(exchange, place, visit, going, delivery)
    except Refused as refused:
        await _handed_on(exchange, refused)


def _may_repeat(exchange: Exchange) -> bool:
    return exchange.fleet.budget.spend(exchange.fleet.now())


def _is_a_question(going: Outgoing) -> bool:
    """Whether to send it twice changes no more than to send it once."""
    return going.method == "GET" and going.body == b""


async def deliver(
    exchange: Exchange, place: Place, visit: failover.Visit, going: Outgoing, delivery: Delivery
) -> None:
    """Send, and hand the answer on; what becomes of it is told of the server. The caller holds the
    place, and gives it back.

    Raises what `Door.send` and `relay` raise; a route that turned out to be missing is remembered.
    """
    record, provider, path = exchange.record, going.provider, going.path
    record.provider, record.model = provider.name, place.way.target.model

    def begun() -> None:
        visit.begun()
        delivery.begun()

    record.upstream_begins()
    record.attempts += 1
    told = [*delivery.added, *record.told_attempts]
    try:
        async with await exchange.door.send(going) as answer:
            del going
            rules = exchange.header_rules
            handed = replace(delivery, added=told, begun=begun, header_rules=rules)
            await relay(answer, exchange.client, handed)
            visit.answered(answer.status)
            if answer.status >= 400:
                record.reason = refusals.upstream_code(answer.status)
    except Interrupted as broke:
        visit.failed(broke.error)
        raise
    except (GatewayError, Refused, ConnectionAbortedError) as error:
        visit.failed(error)
        if isinstance(error, MissingRoute):
            exchange.missing.note(provider, path)
        if _lists_another(error) and place.way.target.model:
            exchange.ask_anew(provider.id)
        raise
    finally:
        record.upstream_ends()


def _lists_another(error: Exception) -> bool:
    """Whether the server does not know a model that it listed."""
    return isinstance(error, Refused) and error.why == refusals.MISCONFIGURED


async def _handed_on(exchange: Exchange, refused: Refused) -> None:
    exchange.record.reason = refused.code
    await hand_on(refused, exchange.client)
