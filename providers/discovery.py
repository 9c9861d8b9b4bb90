"""What each server serves and speaks: asked of the server, kept in the database, never guessed.

How the question travels is not decided here: `fetch` gives the gateway's one door to the network,
named by the setting AURORA_FETCH.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any, cast
from uuid import UUID

import msgspec
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from providers import answers, catalog, installation, openapi, revision, vias
from providers.answers import Question
from providers.fetch import Fetch, Fetched, FetchFailed, Fetching, TooLong
from providers.models import Discovery, Provider
from providers.snapshot import ProviderEntry, is_model_id
from providers.transactions import edit, locked, retried

TOTAL_SECONDS = 10.0
SPEC_SECONDS = 5.0
"""Of the total, for /openapi.json: a server that withholds it delays the news of its models."""
MOST_BYTES = 4 * 2**20
MOST_MODELS = 2000
MOST_ERROR_CHARACTERS = 500
MOST_TESTS = 3
"""Servers that are asked at once because a person or a program wants to know now. Each may take
TOTAL_SECONDS, and most of the places that pages and the management API share must stay free."""
_PLACES = threading.BoundedSemaphore(MOST_TESTS)
FOR_AN_OPERATOR = (
    answers.REFUSES_KEY,
    answers.WANTS_KEY,
    answers.PROXY_REFUSES,
    answers.LISTS_NONE,
    answers.LEADS_BACK,
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


def fetch() -> Fetching:
    return cast(Fetching, import_string(settings.AURORA_FETCH))


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
    outcome = _without_own(read(answer, question), installation.ids())
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


def _without_own(outcome: Outcome, own: tuple[str, ...]) -> Outcome:
    """Without what another Aurora serves from this one: by each name it would come back under a
    longer one."""
    cards = tuple(card for card in outcome.cards if not vias.leads_back(card, own))
    if cards or not outcome.cards:
        return replace(outcome, cards=cards)
    return Outcome(False, f"{answers.LEADS_BACK}. {answers.ENTER_VLLM}")


def is_misconfiguration(error: str) -> bool:
    """Whether what went wrong is for an operator to put right: it does not pass by itself. Pure."""
    return error.startswith(FOR_AN_OPERATOR) or error.endswith(catalog.ENTER_AGAIN)


def _is_sane(card: dict[str, Any]) -> bool:
    """PostgreSQL keeps no NUL character, wherever in the card it stands."""
    return is_model_id(card.get("id")) and rb"\u0000" not in msgspec.json.encode(card)


def record(provider: ProviderEntry, outcome: Outcome) -> Discovery | None:
    """As `record_all`. None if the provider is gone or answers elsewhere by now."""
    return record_all([(provider, outcome)]).get(provider.id)


def record_all(told: Sequence[tuple[ProviderEntry, Outcome]]) -> dict[UUID, Discovery]:
    """Keep what came of asking these providers, each named once: a few statements, however many they
    are. A failure keeps the cards and routes of the last success.

    What comes back has no provider that is gone or answers elsewhere by now: its outcome says
    nothing of it. Only a change of cards, routes or the error counts as a change; a new time of
    asking does not.
    """
    return retried(partial(_record_all, told))


@edit()
def _record_all(told: Sequence[tuple[ProviderEntry, Outcome]]) -> dict[UUID, Discovery]:
    ids = [provider.id for provider, _ in told]
    at = dict(locked(Provider.objects.filter(pk__in=ids)).values_list("pk", "base_url"))
    before = Discovery.objects.in_bulk(ids)
    now, kept, changed = timezone.now(), dict[UUID, Discovery](), list[Discovery]()
    for provider, outcome in sorted(told, key=lambda each: each[0].id):  # one order: no deadlock
        if at.get(provider.id) == provider.address.api_root:
            row = before.get(provider.id)
            kept[provider.id] = after = _after(row, provider, outcome, now)
            if row is None or _content(row) != _content(after):
                changed.append(after)
    _write(changed, kept, now)
    return kept


def _after(
    row: Discovery | None, provider: ProviderEntry, outcome: Outcome, now: datetime
) -> Discovery:
    found = row or Discovery(provider_id=provider.id)
    return Discovery(
        provider_id=provider.id,
        cards=list(outcome.cards) if outcome.ok else found.cards,
        routes=_routes_after(found, outcome),
        asked=now,
        answered=now if outcome.ok else found.answered,
        error="" if outcome.ok else outcome.text[:MOST_ERROR_CHARACTERS],
    )


def _content(row: Discovery) -> tuple[object, ...]:
    return row.cards, row.routes, row.error


def _write(changed: list[Discovery], kept: Mapping[UUID, Discovery], now: datetime) -> None:
    """The rows that changed as they are; of the others only when they were asked."""
    same = kept.keys() - {row.provider_id for row in changed}
    answered = [pk for pk in same if kept[pk].answered == now]
    if same:
        Discovery.objects.filter(pk__in=same).update(asked=now)
    if answered:
        Discovery.objects.filter(pk__in=answered).update(answered=now)
    if changed:
        Discovery.objects.bulk_create(
            changed, update_conflicts=True, unique_fields=["provider"], update_fields=_FIELDS
        )
        revision.bump()


_FIELDS = ("cards", "routes", "asked", "answered", "error")


def _routes_after(found: Discovery, outcome: Outcome) -> list[str] | None:
    """Those heard. If none were, the last known; but not of a server that lists other models now."""
    if not outcome.ok:
        return found.routes
    if outcome.routes is not UNHEARD:
        return outcome.routes
    return found.routes if _ids(found.cards) == _ids(outcome.cards) else None


def _ids(cards: Iterable[dict[str, Any]]) -> set[str]:
    return {card["id"] for card in cards}


class TooManyTests(Exception):
    """As many servers are being asked for people as may be."""


@contextlib.contextmanager
def _place() -> Iterator[None]:
    """Whoever presses a button waits for a server with a thread, of which Django has few."""
    if not _PLACES.acquire(blocking=False):
        raise TooManyTests(
            f"{MOST_TESTS} connection tests are running. Try again in a few seconds."
        )
    try:
        yield
    finally:
        _PLACES.release()


def test(provider: Provider) -> Outcome:
    """Ask the server of `provider`, saved or not, and keep nothing. Not for an event loop.

    Raises TooManyTests.
    """
    with _place():
        return asyncio.run(ask(catalog.provider_entry(provider), fetch()))


def ask_now(provider_id: UUID) -> Discovery:
    """Ask a saved provider's server and keep what it says. Not for an event loop.

    Raises Provider.DoesNotExist, and TooManyTests.
    """
    row = Provider.objects.get(pk=provider_id)
    entry = catalog.provider_entry(row)
    with _place():
        outcome = asyncio.run(ask(entry, fetch()))
    recorded = record(entry, outcome)
    if recorded is None:
        raise Provider.DoesNotExist
    return recorded
