"""The overview's servers: the troubled ones or all, the worst first, and kept so while it is open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from providers import health_rows
from providers.admin import health, live
from providers.admin.live import Part, Poll
from providers.health import Standing
from providers.health_rows import Seen
from providers.models import Provider

SERVERS, ALL = "servers", "all"
"""The parameter of the overview's address that shows all servers, and its value."""
WORST_FIRST = (
    Standing.MISCONFIGURED,
    Standing.UNHEALTHY,
    Standing.DEGRADED,
    Standing.UNKNOWN,
    Standing.DRAINING,
    Standing.HEALTHY,
    Standing.DISABLED,
)
UNTROUBLED = (Standing.HEALTHY, Standing.DISABLED)


@dataclass(frozen=True, slots=True)
class Row:
    """A server as a line of the table."""

    provider: Provider
    health: Part
    load: Part
    error: str


@dataclass(frozen=True, slots=True)
class Servers:
    """All servers at one moment, and the rows that the overview has of them."""

    seen: Mapping[UUID, Seen]
    rows: tuple[Row, ...]
    shows_all: bool

    @property
    def ids(self) -> list[UUID]:
        return [row.provider.pk for row in self.rows]

    def poll(self) -> Poll:
        """What the page asks next: everything it shows, by its digests."""
        shows = {SERVERS: ALL if self.shows_all else "troubled"}
        return live.poll_of(self.ids, self.parts(), **shows)

    def parts(self) -> list[Part]:
        """The parts of a page whose rows stand in the right order."""
        cells = (part for row in self.rows for part in (row.health, row.load))
        return [self.healthy(), self.rest(), *cells]

    def healthy(self) -> Part:
        """How many of the enabled ones are healthy."""
        counted = self._counted()
        enabled = counted.total() - counted[Standing.DISABLED]
        context = {"healthy": counted[Standing.HEALTHY], "enabled": enabled}
        return Part("healthy", live.rendered("healthy", context))

    def table(self) -> Part:
        return Part("servers", live.rendered("servers", {"rows": self.rows}))

    def rest(self) -> Part:
        """What the table leaves out, and the link that changes that."""
        counted = self._counted()
        left_out = [(counted[each], each.value) for each in UNTROUBLED if counted[each]]
        chosen = len(self.seen) if self.shows_all else len(self.seen) - sum(n for n, _ in left_out)
        context = {
            "providers": len(self.seen),
            "shown": len(self.rows),
            "cut": chosen - len(self.rows),
            "shows_all": self.shows_all,
            "left_out": left_out,
        }
        return Part("rest", live.rendered("rest", context))

    def _counted(self) -> Counter[Standing]:
        return Counter(seen.condition.standing for seen in self.seen.values())


def of(providers: Iterable[Provider], *, shows_all: bool) -> Servers:
    """Those of `providers` that the overview shows. One query if they were selected with RELATED."""
    held = list(providers)
    seen = health_rows.seen(held)

    def badness(provider: Provider) -> tuple[int, str]:
        return WORST_FIRST.index(seen[provider.pk].condition.standing), provider.name

    ordered = sorted(held, key=badness)
    shown = [p for p in ordered if shows_all or _is_troubled(seen[p.pk])]
    rows = (_row(provider, seen[provider.pk]) for provider in shown[: live.MOST_ROWS])
    return Servers(seen, tuple(rows), shows_all)


def _row(provider: Provider, seen: Seen) -> Row:
    state, load = live.state(provider.pk, seen), live.load(provider.pk, seen)
    return Row(provider, state, load, health.error_of(provider))


def shows_all(request: HttpRequest) -> bool:
    return request.GET.get(SERVERS) == ALL


def changes(request: HttpRequest) -> HttpResponse:
    """What has changed on an overview. Where other rows are to be shown, or in another order, that
    is the whole table."""
    rows = health_rows.without_models(Provider.objects.all())
    now = of(rows, shows_all=shows_all(request))
    if now.ids == live.asked_ids(request.GET):
        return live.told(request, now.parts(), now.poll())
    return live.shown(request, [now.healthy(), now.rest(), now.table()], now.poll())


def context(providers: Iterable[Provider], *, shows_all: bool) -> dict[str, Any]:
    """What the overview's template takes."""
    now = of(providers, shows_all=shows_all)
    return {
        "healthy": live.placed(now.healthy()),
        "servers": live.placed(now.table()),
        "rest": live.placed(now.rest()),
        "live": now.poll(),
    }


def _is_troubled(seen: Seen) -> bool:
    return seen.condition.standing not in UNTROUBLED
