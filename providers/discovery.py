"""What each server serves and speaks: asked of the server, kept in the database, never guessed.

How the question travels is not decided here: `fetch` gives the gateway's one door to the network,
named by the setting AURORA_FETCH.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, cast
from uuid import UUID

import msgspec
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from providers import answers, catalog, openapi
from providers.answers import Question
from providers.fetch import Fetch, Fetched, FetchFailed, TooLong
from providers.models import Discovery, Provider
from providers.snapshot import ProviderEntry, is_model_id
from providers.transactions import edit, locked, retried

TOTAL_SECONDS = 10.0
SPEC_SECONDS = 5.0
"""Of the total, for /openapi.json: a server that withholds it delays the news of its models."""
MOST_BYTES = 4 * 2**20
MOST_MODELS = 2000
MOST_ERROR_CHARACTERS = 500
FOR_AN_OPERATOR = (
    answers.REFUSES_KEY,
    answers.WANTS_KEY,
    answers.PROXY_REFUSES,
    answers.LISTS_NONE,
)
"""How errors begin that do not pass by themselves."""


class Unheard(Enum):
    """There was no answer that would tell."""

    UNHEARD = "unheard"


UNHEARD = Unheard.UNHEARD


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking. `text` is for an operator; `cards` is empty unless `ok`.

    `routes` are the paths that take a POST, sorted; None if the server does not say. They are
    UNHEARD if it was not heard, this time.
    """

    ok: bool
    text: str
    cards: tuple[dict[str, Any], ...] = ()
    routes: list[str] | Unheard | None = None


class _Listing(msgspec.Struct):
    data: list[dict[str, Any]]


def fetch() -> Fetch:
    return cast(Fetch, import_string(settings.AURORA_FETCH))


async def ask(provider: ProviderEntry, fetch: Fetch) -> Outcome:
    """Ask the server for its models and its routes, within TOTAL_SECONDS.

    Its failures are outcomes, not exceptions. Only the models decide whether all is well.
    """
    if provider.problem:
        return Outcome(False, provider.problem)
    began = time.monotonic()
    try:
        answer = await fetch(
            f"{provider.address.api_root}/models",
            provider.authorization,
            seconds=TOTAL_SECONDS,
            most_bytes=MOST_BYTES,
        )
    except FetchFailed as error:
        return Outcome(False, error.explained)
    question = Question(provider.address, has_key=provider.authorization is not None)
    outcome = read(answer, question)
    if not outcome.ok:
        return outcome
    left = TOTAL_SECONDS - (time.monotonic() - began)
    routes = await _routes(provider, fetch, seconds=max(0.0, min(SPEC_SECONDS, left)))
    return replace(outcome, routes=routes)


async def _routes(
    provider: ProviderEntry, fetch: Fetch, *, seconds: float
) -> list[str] | Unheard | None:
    """What the server says it takes a POST on. Any answer that is no spec says nothing."""
    try:
        answer = await fetch(
            f"{provider.address.server_root}/openapi.json",
            provider.authorization,
            seconds=seconds,
            most_bytes=MOST_BYTES,
        )
    except TooLong:
        return None
    except FetchFailed:
        return UNHEARD
    return openapi.post_paths(answer.body) if answer.status == 200 else None


def read(answer: Fetched, question: Question) -> Outcome:
    """What an answer to GET /v1/models says. Pure."""
    if answer.status != 200:
        return Outcome(False, answers.explained(answer, question))
    try:
        listing = msgspec.json.decode(answer.body, type=_Listing)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Outcome(False, answers.explained(answer, question))
    cards = tuple(card for card in listing.data[:MOST_MODELS] if _is_sane(card))
    if not cards:
        return Outcome(False, answers.LISTS_NONE)
    return Outcome(True, f"{len(cards)} model{'s' if len(cards) > 1 else ''}.", cards)


def is_misconfiguration(error: str) -> bool:
    """Whether what went wrong is for an operator to put right: it does not pass by itself. Pure."""
    return error.startswith(FOR_AN_OPERATOR) or error.endswith(catalog.ENTER_AGAIN)


def _is_sane(card: dict[str, Any]) -> bool:
    """PostgreSQL keeps no NUL character, wherever in the card it stands."""
    return is_model_id(card.get("id")) and rb"\u0000" not in msgspec.json.encode(card)


def record(provider: ProviderEntry, outcome: Outcome) -> Discovery | None:
    """Keep `outcome`; a failure keeps the cards and routes of the last success.

    None if the provider is gone or answers elsewhere by now: then it says nothing of it. Only a
    change of cards, routes or the error counts as a change; a new time of asking does not.
    """
    return retried(partial(_record, provider, outcome))


@edit()
def _record(provider: ProviderEntry, outcome: Outcome) -> Discovery | None:
    same = Provider.objects.filter(pk=provider.id, base_url=provider.address.api_root)
    if locked(same).first() is None:
        return None
    found, created = Discovery.objects.get_or_create(provider_id=provider.id)
    now, error = timezone.now(), "" if outcome.ok else outcome.text[:MOST_ERROR_CHARACTERS]
    cards = list(outcome.cards) if outcome.ok else found.cards
    routes = _routes_after(found, outcome)
    changed = created or (found.cards, found.routes, found.error) != (cards, routes, error)
    found.cards, found.routes, found.error, found.asked = cards, routes, error, now
    found.answered = now if outcome.ok else found.answered
    if changed:
        found.save()
    else:
        Discovery.objects.filter(pk=found.pk).update(asked=found.asked, answered=found.answered)
    return found


def _routes_after(found: Discovery, outcome: Outcome) -> list[str] | None:
    """Those heard. If none were, the last known; but not of a server that lists other models now."""
    if not outcome.ok:
        return found.routes
    if outcome.routes is not UNHEARD:
        return outcome.routes
    return found.routes if _ids(found.cards) == _ids(outcome.cards) else None


def _ids(cards: Iterable[dict[str, Any]]) -> set[str]:
    return {card["id"] for card in cards}


def test(provider: Provider) -> Outcome:
    """Ask the server of `provider`, saved or not, and keep nothing. Not for an event loop."""
    return asyncio.run(ask(catalog.provider_entry(provider), fetch()))


def ask_now(provider_id: UUID) -> Discovery:
    """Ask a saved provider's server and keep what it says. Not for an event loop.

    Raises Provider.DoesNotExist.
    """
    row = Provider.objects.get(pk=provider_id)
    entry = catalog.provider_entry(row)
    recorded = record(entry, asyncio.run(ask(entry, fetch())))
    if recorded is None:
        raise Provider.DoesNotExist
    return recorded
