"""What of a page keeps up with the servers: one question every two seconds for the whole page.

A page holds its parts, each by its id, and one `Poll` that asks for those that have changed. It
says by a digest what it shows, so an unchanged part is not sent and not touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.views import ChangeList

from providers import health_rows
from providers.admin import health
from providers.health import Standing
from providers.health_rows import Seen
from providers.models import Provider

POLL_SECONDS = 2
MOST_ROWS = 200
"""Of a page that keeps up; the list shows no more at once either."""
DIGEST_CHARACTERS = 8
STOP_POLLING = 286
"""What htmx takes for "show this, and do not ask again"."""
SEEN = "seen_now"
"""The list's columns are given nothing but the row: this of it is how the row is."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a page, to be put into its element of this id."""

    id: str
    html: SafeString

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.html.encode()).hexdigest()[:DIGEST_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Poll:
    """The address that the page asks next."""

    url: str
    seconds: int = POLL_SECONDS


def state(pk: UUID, seen: Seen) -> Part:
    condition = seen.condition
    colour = health.COLOURS[condition.standing]
    context = {"condition": condition, "colour": colour}
    return Part(f"health-{pk.hex}", _rendered("health", context))


def load(pk: UUID, seen: Seen) -> Part:
    return Part(f"load-{pk.hex}", _rendered("load", {"seen": seen}))


def healthy(seen: Mapping[UUID, Seen]) -> Part:
    """How many of the enabled ones are healthy."""
    standings = [one.condition.standing for one in seen.values()]
    enabled = [standing for standing in standings if standing is not Standing.DISABLED]
    context = {"healthy": enabled.count(Standing.HEALTHY), "enabled": len(enabled)}
    return Part("healthy", _rendered("healthy", context))


def poll(seen: Mapping[UUID, Seen], shown: Iterable[UUID], *, counts: bool = False) -> Poll:
    """For a page with the rows `shown`, and the count of the healthy ones if it `counts`."""
    ids = list(shown)[:MOST_ROWS]
    return _poll(ids, _parts(seen, ids, counts=counts), counts=counts)


def changes(request: HttpRequest) -> HttpResponse:
    """The parts that are no longer as the page has them; 204 if all are."""
    ids, counts = _ids(request.GET), "counts" in request.GET
    rows = Provider.objects.all() if counts else Provider.objects.filter(pk__in=ids)
    parts = _parts(health_rows.seen(health_rows.without_models(rows)), ids, counts=counts)
    known = request.GET.get("known", "").split(".")
    known += [""] * (len(parts) - len(known))
    changed = [part for part, digest in zip(parts, known, strict=False) if part.digest != digest]
    if not changed:
        return HttpResponse(status=204)
    context = {"live": _poll(ids, parts, counts=counts), "parts": changed}
    return render(request, "admin/providers/live/changes.html", context)


def stopped(request: HttpRequest) -> HttpResponse:
    """For a page whose user is logged out, or may look no longer: it says so, and asks no more."""
    return render(request, "admin/providers/live/stopped.html", status=STOP_POLLING)


class LiveChangeList(ChangeList):
    """The list of providers, whose rows know how they are: one query for all of them."""

    live: Poll
    result_list: list[Provider]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        seen = health_rows.seen(self.result_list)
        for row in self.result_list:
            setattr(row, SEEN, seen[row.pk])
        self.live = poll(seen, seen)


def placed(part: Part) -> SafeString:
    """The part in its element, for a page."""
    return render_to_string("admin/providers/live/part.html", {"part": part})


def _parts(seen: Mapping[UUID, Seen], ids: Iterable[UUID], *, counts: bool) -> list[Part]:
    parts = [part for pk in ids for part in _of_row(pk, seen.get(pk))]
    return [*parts, healthy(seen)] if counts else parts


def _of_row(pk: UUID, seen: Seen | None) -> Iterator[Part]:
    """The parts of a row. Of one that was deleted they say so, in the same places."""
    if seen:
        yield state(pk, seen)
        yield load(pk, seen)
    else:
        yield Part(f"health-{pk.hex}", _rendered("gone", {}))
        yield Part(f"load-{pk.hex}", SafeString(""))


def _poll(ids: Iterable[UUID], parts: Iterable[Part], *, counts: bool) -> Poll:
    query = {
        "ids": ".".join(pk.hex for pk in ids),
        "known": ".".join(part.digest for part in parts),
        **({"counts": "1"} if counts else {}),
    }
    return Poll(f"{reverse('admin:providers_provider_live')}?{urlencode(query)}")


def _ids(query: QueryDict) -> list[UUID]:
    """Those that are asked for, each once; what is no id is left out."""
    asked = dict.fromkeys(query.get("ids", "").split(".")[:MOST_ROWS])
    found = []
    for text in asked:
        try:
            found.append(UUID(hex=text))
        except ValueError:
            continue
    return found


def _rendered(name: str, context: dict[str, Any]) -> SafeString:
    return render_to_string(f"admin/providers/live/{name}.html", context)
