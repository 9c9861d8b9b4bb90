"""The models there are, in the shape of the client's dialect."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeGuard

import msgspec

from gateway import hops, paging, routing
from gateway.dialects import Dialect
from gateway.views.exchange import Exchange, authenticated
from providers import vias
from providers.snapshot import Card, Snapshot, alias_card, public_card

LIFECYCLES = ("active", "deprecated", "retired")
LATEST_SECONDS = 253_402_300_799
"""The end of the year 9999: no later moment can be written."""


async def list_models(exchange: Exchange) -> None:
    authenticated(exchange)
    if exchange.dialect is Dialect.ANTHROPIC:
        listing = _page(exchange)
    else:
        listing = {"object": "list", "data": _listed(exchange)}
    await exchange.client.answer_json(200, msgspec.json.encode(listing))


async def show_model(exchange: Exchange) -> None:
    """One card, by any selector that a call may use: as it is listed; under the name that is asked
    for, where an alias matches it by its pattern; else under the public id of the first server that
    the selector leads to."""
    authenticated(exchange)
    card = _card(exchange.name("id"), exchange.snapshot)
    shown = _model(card) if exchange.dialect is Dialect.ANTHROPIC else vias.untold(card)
    await exchange.client.answer_json(200, msgspec.json.encode(shown))


def _listed(exchange: Exchange) -> list[Card]:
    """All cards. Another Aurora is told behind which ones each model is, to leave out its own."""
    cards = exchange.snapshot.cards.values()
    if hops.passed(exchange.client.request.headers):
        return [vias.told(card, exchange.installation) for card in cards]
    return list(map(vias.untold, cards))


def _card(selector: str, snapshot: Snapshot) -> Card:
    """Raises UnknownModel or ModelsUnknown."""
    target = routing.route(selector, snapshot)
    if selector in snapshot.cards:
        return snapshot.cards[selector]
    alias = routing.alias_of(selector, snapshot)
    if alias is not None and (card := alias_card(selector, alias, snapshot.providers)):
        return card
    return public_card(target.provider, target.model, target.provider.models[target.model])


def _page(exchange: Exchange) -> dict[str, Any]:
    """A page of all models, as Anthropic's clients turn it. Raises InvalidRequest."""
    snapshot = exchange.snapshot
    cards = snapshot.cards
    query = exchange.client.request.query
    page = paging.asked(query, paging.MODELS)
    active = list(cards) if _wants_active(query) else []
    ids, has_more = paging.among(active, page, snapshot.rank)
    return {
        "data": [_model(cards[id]) for id in ids],
        "has_more": has_more,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }


def _wants_active(query: bytes) -> bool:
    """Every model that can be called is active."""
    wanted = paging.all_of(query, "lifecycle", LIFECYCLES)
    return not wanted or "active" in wanted


def _model(card: Card) -> dict[str, Any]:
    """The card as Anthropic's clients read it."""
    shown = {
        "type": "model",
        "id": card["id"],
        "display_name": card["id"],
        "created_at": _moment(card.get("created")),
        "lifecycle": "active",
    }
    most_tokens = card.get("max_model_len")
    return {**shown, "max_input_tokens": most_tokens} if _is_whole(most_tokens) else shown


def _moment(created: object) -> str:
    """In RFC 3339; a server that does not say when has its models from 1970."""
    seconds = created if _is_whole(created) else 0
    return datetime.fromtimestamp(min(seconds, LATEST_SECONDS), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
