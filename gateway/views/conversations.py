"""Conversations and their items: what a caller keeps here to go on from.

Items are given whole, so whatever `include` asks for is there, and it is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from gateway import calls, paging
from gateway.client import Watched
from gateway.errors import STORAGE_FULL, InvalidRequest, StorageFull, UnknownItem
from gateway.state.values import Conversation, Page, quoted
from gateway.surrogates import mended_members
from gateway.translation import Stamp
from gateway.translation.responses import adding, options, reading
from gateway.views.exchange import Exchange, Members, answer_page, authenticated


async def create(exchange: Exchange) -> None:
    owner = _owner(exchange)
    members = await _members(exchange, "metadata", "items")
    metadata = await _metadata(exchange, members)
    with Watched(exchange.client):
        items = await _items(exchange, owner, members)
        _check_room(exchange, owner)
        await _answer(exchange, await exchange.store.create_conversation(owner, metadata, items))


async def show(exchange: Exchange) -> None:
    owner = _owner(exchange)
    with Watched(exchange.client):
        await _answer(exchange, await exchange.store.conversation(owner, exchange.name("id")))


async def update(exchange: Exchange) -> None:
    """The metadata as a whole is replaced."""
    owner = _owner(exchange)
    members = await _members(exchange, "metadata")
    if "metadata" not in members:
        raise InvalidRequest("The body must hold `metadata`.", param="metadata")
    id, metadata = exchange.name("id"), await _metadata(exchange, members)
    with Watched(exchange.client):
        await _answer(exchange, await exchange.store.update_conversation(owner, id, metadata))


async def delete(exchange: Exchange) -> None:
    owner, id = _owner(exchange), exchange.name("id")
    with Watched(exchange.client):
        await exchange.store.delete_conversation(owner, id)
        deleted = {"id": id, "object": "conversation.deleted", "deleted": True}
        await exchange.client.answer_json(200, msgspec.json.encode(deleted))


async def list_items(exchange: Exchange) -> None:
    owner = _owner(exchange)
    page = paging.asked(exchange.client.request.query, paging.ITEMS)
    with Watched(exchange.client):
        found = await exchange.store.conversation_items(
            owner, exchange.name("id"), limit=page.limit, order=page.order, after=page.after
        )
        await answer_page(exchange, found)


async def add_items(exchange: Exchange) -> None:
    """Answers what was added: each item as it is kept."""
    owner = _owner(exchange)
    members = await _members(exchange, "items")
    if "items" not in members:
        raise InvalidRequest("The body must hold `items`.", param="items")
    with Watched(exchange.client):
        items = await _items(exchange, owner, members)
        _check_room(exchange, owner)
        await exchange.store.add_items(owner, exchange.name("id"), items)
        await answer_page(exchange, Page(items, has_more=False))


async def show_item(exchange: Exchange) -> None:
    owner = _owner(exchange)
    with Watched(exchange.client):
        item = await exchange.store.item(owner, exchange.name("id"), exchange.name("item"))
        await exchange.client.answer_json(200, item)


async def delete_item(exchange: Exchange) -> None:
    """Answers the conversation."""
    owner, id = _owner(exchange), exchange.name("id")
    with Watched(exchange.client):
        await _answer(exchange, await exchange.store.delete_item(owner, id, exchange.name("item")))


def _check_room(exchange: Exchange, owner: UUID) -> None:
    """Raises StorageFull."""
    if exchange.store.keeps and exchange.store.is_full(owner):
        raise StorageFull(STORAGE_FULL)


def _owner(exchange: Exchange) -> UUID:
    return authenticated(exchange).key.owner


async def _members(exchange: Exchange, *known: str) -> Members:
    """The body; none at all is an empty object. Raises InvalidRequest for a member not `known`."""
    body = await exchange.client.plain_body(exchange.unpacker)
    members = await exchange.offload.run(len(body), _detailed, body)
    for name in members:
        if name not in known:
            raise InvalidRequest(f"There is no member `{name[:200]}`.", param=name[:200])
    return members


def _detailed(body: bytes) -> Members:
    members = mended_members(calls.read_members(body or b"{}"))
    calls.check_values(members)
    return members


async def _metadata(exchange: Exchange, members: Members) -> Mapping[str, str]:
    return await exchange.offload.run(_size_bytes(members), _given_metadata, members)


def _given_metadata(members: Members) -> Mapping[str, str]:
    given = {name: raw for name, raw in members.items() if name == "metadata"}
    options.mapped(given)  # where a response's metadata is checked, too
    pairs = _value(members, "metadata")
    return pairs or {}


async def _items(exchange: Exchange, owner: UUID, members: Members) -> list[bytes]:
    """As they are to be kept: what is referred to stands in the place of its reference."""
    items, places = await exchange.offload.run(_size_bytes(members), _given_items, members)
    found = await exchange.store.items(owner, list(places.values()))
    for at, id in places.items():
        if id not in found:
            raise UnknownItem(
                f"There is no item with the id {quoted(id)}.", param=f"items[{at}].id"
            )
        items[at] = found[id]
    return items


def _size_bytes(members: Members) -> int:
    return sum(memoryview(raw).nbytes for raw in members.values())


def _given_items(members: Members) -> tuple[list[bytes], dict[int, str]]:
    """As they came, and which of them are references."""
    given = _value(members, "items")
    return adding.kept(given, Stamp.now()), adding.references(given)


def _value(members: Members, name: str) -> Any:
    raw = members.get(name)
    return None if raw is None else reading.decoded(raw, name)


async def _answer(exchange: Exchange, conversation: Conversation) -> None:
    shown = {
        "id": conversation.id,
        "object": "conversation",
        "created_at": conversation.created,
        "metadata": conversation.metadata,
    }
    await exchange.client.answer_json(200, msgspec.json.encode(shown))
