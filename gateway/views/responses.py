"""OpenAI's Responses: native where the server has them, else by way of chat completions.

What a response continues from is Aurora's to know: it is put in front of the input, and no server
is asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

import msgspec

from gateway.calls import Call, joined
from gateway.client import Watched
from gateway.endpoints import RESPONSES
from gateway.errors import NotStored, Unknown
from gateway.routing import Way
from gateway.state.values import Copy
from gateway.translation import EventStream, Stamp, Translation, responses
from gateway.translation.responses import Ask, Echo, Final, Restamped
from gateway.views import background
from gateway.views.exchange import Exchange, authenticated, deliver_any_way, read_call
from gateway.views.keeping import Keeping

NOTHING_KEPT = "nothing is kept here (AURORA_RESPONSES_RETENTION_DAYS is 0)."


@dataclass(frozen=True, slots=True)
class Creation:
    """A create call, and what it goes on from."""

    call: Call
    ask: Ask
    stamp: Stamp
    owner: UUID
    members: Mapping[str, msgspec.Raw] = field(repr=False)
    """What is sent, but for `model`."""
    items: tuple[bytes, ...] = field(repr=False)
    """The call's own input as it is to be kept."""
    context_length: int
    """How many items of the input that is sent are not the call's own."""
    echo: Echo

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
                self.members, model, self.stamp, self.echo, context_length=self.context_length
            )
        if self.is_untouched:
            return None
        return Native(joined({**self.members, "model": msgspec.json.encode(model)}), self.echo)

    def in_background(self, id: str) -> Creation:
        """The same, streamed by the server whatever the client asked for."""
        echo = replace(self.echo, id=id, background=True)
        members = {**self.members, "stream": msgspec.Raw(b"true")}
        return replace(self, members=members, echo=echo)

    def copy_of(self, final: Final) -> Copy:
        """The response as it is to be kept."""
        return Copy(
            self.owner,
            final.id,
            final.body,
            final.status,
            self.items,
            final.output,
            self.ask.previous_response_id,
            self.ask.conversation,
        )


@dataclass(slots=True)
class Native:
    """A Translation that stays in the dialect: only what is Aurora's to say is said by Aurora."""

    body: bytes = field(repr=False)
    echo: Echo
    path: str = RESPONSES

    def whole(self, answer: bytes) -> bytes:
        return Restamped(self.echo).whole(answer)

    def stream(self) -> EventStream:
        return Restamped(self.echo)


async def create(exchange: Exchange) -> None:
    owner = authenticated(exchange).key.owner
    call, stamp = await read_call(exchange), Stamp.now()
    ask = responses.read(call.members, stamp)
    _check_kept(exchange, ask)
    with Watched(exchange.client):
        creation = await _expanded(exchange, Creation(
            call, ask, stamp, owner, call.members, ask.items, 0, _echo(ask)
        ))  # fmt: skip
        if ask.background:
            await background.create(exchange, creation)
            return
        keeps = ask.store and exchange.store.keeps
        watcher = Keeping(exchange.store, creation.copy_of) if keeps else None
        await deliver_any_way(exchange, call, creation.put, watcher)


def _echo(ask: Ask) -> Echo:
    return Echo(ask.previous_response_id, ask.conversation, store=ask.store)


def _check_kept(exchange: Exchange, ask: Ask) -> None:
    """Raises NotStored for what needs a state, where there is none."""
    needed = {
        "background": ask.background,
        "previous_response_id": ask.previous_response_id is not None,
        "conversation": ask.conversation is not None,
    }
    for name, is_needed in needed.items():
        if is_needed and not exchange.store.keeps:
            raise NotStored(f"`{name}` cannot be used: {NOTHING_KEPT}", param=name)


async def _expanded(exchange: Exchange, creation: Creation) -> Creation:
    """With the items that it goes on from. Raises what the look-ups in the store raise."""
    store, ask, owner = exchange.store, creation.ask, creation.owner
    context: list[bytes] = []
    referenced: Mapping[str, bytes] = {}
    try:
        if ask.previous_response_id is not None:
            context = await store.context(owner, ask.previous_response_id)
        elif ask.conversation is not None:
            context = await store.conversation_context(owner, ask.conversation)
        if ask.references:
            referenced = await store.items(owner, sorted(ask.references))
    except Unknown as error:
        error.param = error.param or _continued(ask)
        raise
    return replace(
        creation,
        members=responses.expanded(creation.call.members, ask, context, referenced),
        items=ask.resolved(referenced),
        context_length=len(context),
    )


def _continued(ask: Ask) -> str:
    return "conversation" if ask.previous_response_id is None else "previous_response_id"
