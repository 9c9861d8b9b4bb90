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
    return Part(f"health-{pk.hex}", rendered("health", context))


def load(pk: UUID, seen: Seen) -> Part:
    return Part(f"load-{pk.hex}", rendered("load", {"seen": seen}))


def poll(seen: Mapping[UUID, Seen]) -> Poll:
    """For a page with these rows."""
    ids = list(seen)[:MOST_ROWS]
    return poll_of(ids, of_rows(seen, ids))


def changes(request: HttpRequest) -> HttpResponse:
    """What has changed on a page of rows."""
    ids = asked_ids(request.GET)
    rows = health_rows.without_models(Provider.objects.filter(pk__in=ids))
    parts = of_rows(health_rows.seen(rows), ids)
    return told(request, parts, poll_of(ids, parts))


def told(request: HttpRequest, parts: list[Part], following: Poll) -> HttpResponse:
    """Those of the parts that are no longer as the page has them; 204 if all are."""
    known = request.GET.get("known", "").split(".")
    known += [""] * (len(parts) - len(known))
    changed = [part for part, digest in zip(parts, known, strict=False) if part.digest != digest]
    return shown(request, changed, following) if changed else HttpResponse(status=204)


def shown(request: HttpRequest, parts: list[Part], following: Poll) -> HttpResponse:
    """These parts, for their places on the page, which then asks `following`."""
    context = {"live": following, "parts": parts}
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
        self.live = poll(seen)


def placed(part: Part) -> SafeString:
    """The part in its element, for a page."""
    return render_to_string("admin/providers/live/part.html", {"part": part})


def of_rows(seen: Mapping[UUID, Seen], ids: Iterable[UUID]) -> list[Part]:
    return [part for pk in ids for part in _of_row(pk, seen.get(pk))]


def _of_row(pk: UUID, seen: Seen | None) -> Iterator[Part]:
    """The parts of a row. Of one that was deleted they say so, in the same places."""
    if seen:
        yield state(pk, seen)
        yield load(pk, seen)
    else:
        yield Part(f"health-{pk.hex}", rendered("gone", {}))
        yield Part(f"load-{pk.hex}", SafeString(""))


def poll_of(ids: Iterable[UUID], parts: Iterable[Part], **more: str) -> Poll:
    """For a page with these rows and parts; `more` is put into the address."""
    query = {
        "ids": ".".join(pk.hex for pk in ids),
        "known": ".".join(part.digest for part in parts),
        **more,
    }
    return Poll(f"{reverse('admin:providers_provider_live')}?{urlencode(query)}")


def asked_ids(query: QueryDict) -> list[UUID]:
    """Those that are asked for, each once; what is no id is left out."""
    asked = dict.fromkeys(query.get("ids", "").split(".")[:MOST_ROWS])
    found = []
    for text in asked:
        try:
            found.append(UUID(hex=text))
        except ValueError:
            continue
    return found


def rendered(name: str, context: dict[str, Any]) -> SafeString:
    return render_to_string(f"admin/providers/live/{name}.html", context)
