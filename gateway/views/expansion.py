"""A call that goes on from what is kept here, made whole: servers keep nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from gateway.errors import NotStored, Unknown
from gateway.state.store import Store
from gateway.translation.responses import Ask, expanded
from gateway.views.exchange import Members


@dataclass(frozen=True, slots=True)
class Whole:
    """What is sent, but for `model`: the first `context_length` items of its `input` were kept here."""

    members: dict[str, msgspec.Raw] = field(repr=False)
    context_length: int
    referenced: dict[str, bytes] = field(repr=False)
    """By id, what the call's `item_reference` items stand for."""


async def whole(store: Store, owner: UUID, members: Members, ask: Ask) -> Whole:
    """The call without anything that only Aurora knows. One that needs nothing asks no database.

    Raises NotStored, UnknownResponse, UnknownConversation, UnknownItem, each with the `param` at
    fault; InvalidRequest where it cannot be continued; StateUnavailable.
    """
    context = await _context(store, owner, ask)
    referenced = await store.items(owner, sorted(ask.references))
    return Whole(expanded(members, ask, context, referenced), len(context), referenced)


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
