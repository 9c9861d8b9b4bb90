"""A call that goes on from what is kept here, made whole: servers keep nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from gateway.calls import Call
from gateway.errors import NotStored, Unknown
from gateway.state.store import Store
from gateway.translation.responses import Ask, expanded
from gateway.views.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Whole:
    """What is sent, but for `model`: the first `context_length` items of its `input` were kept here."""

    members: dict[str, msgspec.Raw] = field(repr=False)
    context_length: int
    referenced: dict[str, bytes] = field(repr=False)
    """By id, what the call's `item_reference` items stand for."""
    size_bytes: int
    """Of the call and of all that was added to it, in sum."""


async def whole(exchange: Exchange, owner: UUID, call: Call, ask: Ask) -> Whole:
    """The call without anything that only Aurora knows. One that needs nothing asks no database.

    Raises NotStored, UnknownResponse, UnknownConversation, UnknownItem, each with the `param` at
    fault; InvalidRequest where it cannot be continued; StateUnavailable.
    """
    context = await _context(exchange.store, owner, ask)
    referenced = await exchange.store.items(owner, sorted(ask.references))
    added = sum(map(len, context)) + sum(map(len, referenced.values()))
    size = call.size_bytes + added
    exchange.client.charge.hold_body(size)
    sent = await exchange.offload.run(size, expanded, call.members, ask, context, referenced)
    return Whole(sent, len(context), referenced, size)


async def _context(store: Store, owner: UUID, ask: Ask) -> list[bytes]:
    param = "conversation" if ask.conversation is not None else "previous_response_id"
    goes_on = ask.conversation is not None or ask.previous_response_id is not None
    if goes_on and not store.keeps:
        raise NotStored(f"Aurora keeps no responses: `{param}` cannot be used.", param=param)
    try:
        if ask.conversation is not None:
            return await store.conversation_context(owner, ask.conversation)
        if ask.previous_response_id is not None:
            return await store.context(owner, ask.previous_response_id)
    except Unknown as error:
        error.param = param
        raise
    return []
