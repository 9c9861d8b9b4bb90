"""OpenAI's Responses: native where the server has them, else by way of chat completions.

What a response continues from is Aurora's to know: it is put in front of the input, and no server
is asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import UUID

import msgspec

from gateway.abilities import NO_ABILITIES, Ability
from gateway.auth import Caller
from gateway.calls import Call, joined
from gateway.client import Watched
from gateway.endpoints import RESPONSES
from gateway.errors import STORAGE_FULL, StorageFull
from gateway.routing import Way
from gateway.state.values import Copy
from gateway.translation import EventStream, Stamp, Translation, responses
from gateway.translation.documents import PdfTexts
from gateway.translation.responses import Ask, Echo, Final, Restamped
from gateway.views import background
from gateway.views.delivering import Asked, deliver_asked
from gateway.views.exchange import Exchange, Members, authenticated, read_detailed_call
from gateway.views.expansion import whole
from gateway.views.keeping import Keeping
from gateway.views.pdfs import read_pdfs


@dataclass(frozen=True, slots=True)
class Origin:
    """What is kept of a call beside its response."""

    owner: UUID
    items: tuple[bytes, ...] = field(repr=False)
    """Its own input."""
    previous: str | None
    conversation: str | None

    def copy_of(self, final: Final) -> Copy:
        """The response as it is to be kept."""
        return Copy(
            self.owner,
            final.id,
            final.body,
            final.status,
            items=self.items,
            output=final.output,
            previous=self.previous,
            conversation=self.conversation,
        )


@dataclass(frozen=True, slots=True)
class Creation:
    """A create call, and what it goes on from."""

    caller: Caller
    call: Call
    ask: Ask
    stamp: Stamp
    origin: Origin
    members: Members = field(repr=False)
    """What is sent, but for `model`."""
    context_length: int
    """How many items of the input that is sent are not the call's own."""
    size_bytes: int
    """Of the call and of what it goes on from."""
    echo: Echo
    pdfs: PdfTexts = field(repr=False)

    @property
    def is_untouched(self) -> bool:
        """Whether a server that knows the route gets what the client sent."""
        stateless = self.echo == Echo(store=self.ask.store)
        return stateless and self.members.get("input") is self.call.members.get("input")

    def put(self, way: Way) -> Translation | None:
        """The call as it is put for `way`. Raises InvalidRequest."""
        model = way.target.model
        if way.path != RESPONSES:
            return responses.to_chat(
                self.members,
                model,
                self.stamp,
                self.echo,
                context_length=self.context_length,
                pdfs=self.pdfs,
            )
        if self.is_untouched:
            return None
        return Native(joined(self._native_members(model)), self.echo)

    def _native_members(self, model: str) -> Members:
        """With `store` false where nothing is kept: no server is to keep what Aurora does not."""
        members = {**self.members, "model": msgspec.Raw(msgspec.json.encode(model))}
        return members | {"store": msgspec.Raw(b"false")} if self.echo.store_refused else members

    def in_background(self, id: str) -> Creation:
        """The same, streamed by the server whatever the client asked for."""
        echo = replace(self.echo, id=id, background=True)
        members = {**self.members, "stream": msgspec.Raw(b"true")}
        return replace(self, members=members, echo=echo)


@dataclass(slots=True)
class Native:
    """A Translation that stays in the dialect: only what is Aurora's to say is said by Aurora."""

    body: bytes = field(repr=False)
    echo: Echo
    path: str = RESPONSES
    uses: frozenset[Ability] = NO_ABILITIES

    def whole(self, answer: bytes) -> bytes:
        return Restamped(self.echo).whole(answer)

    def stream(self) -> EventStream:
        return Restamped(self.echo)


async def create(exchange: Exchange) -> None:
    """Nothing here holds the call's body while its answer runs, which may be for hours."""
    caller = authenticated(exchange)
    call = await read_detailed_call(exchange)
    with Watched(exchange.client):
        creation = await _creation(exchange, caller, call)
        del call
        if creation.ask.background:
            begun = await background.begin(exchange, creation)
            del creation
            await background.answer(exchange, begun)
        else:
            asked = _asked(exchange, creation)
            del creation
            await deliver_asked(exchange, asked)


async def _creation(exchange: Exchange, caller: Caller, call: Call) -> Creation:
    owner = caller.key.owner
    stamp = Stamp.now()
    ask = await exchange.offload.run(call.size_bytes, responses.read, call.members, stamp)
    sent = await whole(exchange, owner, call, ask)
    items = await exchange.offload.run(sent.size_bytes, ask.resolved, sent.referenced)
    is_kept = ask.store and _can_store(exchange, owner, ask)
    return Creation(
        caller,
        call,
        ask,
        stamp,
        Origin(owner, items, ask.previous_response_id, ask.conversation),
        members=sent.members,
        context_length=sent.context_length,
        size_bytes=sent.size_bytes,
        echo=Echo(
            ask.previous_response_id,
            ask.conversation,
            store=is_kept,
            store_refused=ask.store and not is_kept,
        ),
        pdfs=await read_pdfs(exchange, owner, call, sent.members, responses.pdfs),
    )


def _can_store(exchange: Exchange, owner: UUID, ask: Ask) -> bool:
    """Raises StorageFull for a call that is of no use where nothing is kept of it."""
    if not exchange.store.keeps:
        return False
    if not exchange.store.is_full(owner):
        return True
    if ask.background or ask.conversation is not None:
        raise StorageFull(STORAGE_FULL)
    return False


def _asked(exchange: Exchange, creation: Creation) -> Asked:
    is_kept, origin = creation.echo.store, creation.origin
    watcher = Keeping(exchange.store, origin.copy_of, exchange.client.memory) if is_kept else None
    return Asked(
        creation.caller,
        creation.call,
        creation.put,
        watcher,
        prompt=creation.members,
        size_bytes=creation.size_bytes,
        kept_bytes=sum(map(len, creation.origin.items)) if is_kept else 0,
    )
