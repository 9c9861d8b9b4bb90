"""How much is read at a time: pages of items, and what is too much to continue from."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from django.db.models import Count, QuerySet, Sum

from gateway.errors import InvalidRequest
from gateway.models import StoredItem
from gateway.state.values import MOST_CONTEXT_ITEMS, Order, Page, is_id, quoted

MOST_CONTEXT_LINKS = 5000
MOST_CONTEXT_BYTES = 32 * 2**20
MOST_PAGE_ITEMS = 100
MOST_PAGE_BYTES = 32 * 2**20


def check_context(*items: QuerySet[StoredItem], param: str) -> None:
    """Raises InvalidRequest where these are too many or too large together."""
    totals = [found.aggregate(count=Count("pk"), size=Sum("size_bytes")) for found in items]
    check_totals(
        sum(total["count"] for total in totals),
        sum(total["size"] or 0 for total in totals),
        param=param,
    )


def check_totals(count: int, size_bytes: int, *, param: str) -> None:
    if count > MOST_CONTEXT_ITEMS or size_bytes > MOST_CONTEXT_BYTES:
        raise InvalidRequest(
            f"There are {count} earlier items with {size_bytes} bytes; at most"
            f" {MOST_CONTEXT_ITEMS} with {MOST_CONTEXT_BYTES} bytes can be continued.",
            param=param,
        )


def fitting(sizes: Iterable[int], most_bytes: int) -> int:
    """How many of the first of these stay within `most_bytes`: one at least, if there is one."""
    sums = list(accumulate(sizes))
    return max(sum(total <= most_bytes for total in sums), min(len(sums), 1))


def page(
    items: QuerySet[StoredItem], *, limit: int, order: Order, after: str | None, before: str | None
) -> Page:
    """Those behind `after` and ahead of `before` in this order; `limit` of them at most.

    With `before` alone they are the last ones ahead of it. A page may be shorter than `limit`
    where items are large. Raises InvalidRequest where a cursor is no item's id.
    """
    ahead, behind = ("position__lt", "position__gt")[:: 1 if order == "asc" else -1]
    if after is not None:
        items = items.filter(**{behind: _position(items, after, "after")})
    if before is not None:
        items = items.filter(**{ahead: _position(items, before, "before")})
    is_backwards = before is not None and after is None
    is_rising = (order == "asc") != is_backwards
    most = max(1, min(limit, MOST_PAGE_ITEMS))
    ordered = items.order_by("position" if is_rising else "-position")
    found = list(ordered.values_list("pk", "size_bytes")[: most + 1])
    count = fitting((size for _, size in found[:most]), MOST_PAGE_BYTES)
    bodies = dict(items.filter(pk__in=[pk for pk, _ in found[:count]]).values_list("pk", "body"))
    shown = [bodies[pk].encode() for pk, _ in found[:count] if pk in bodies]
    return Page(shown[::-1] if is_backwards else shown, has_more=len(found) > count)


def _position(items: QuerySet[StoredItem], id: str, param: str) -> int:
    positions = items.filter(item_id=id).order_by("position").values_list("position", flat=True)
    for position in positions[:1] if is_id(id) else ():
        return position
    raise InvalidRequest(f"There is no item with the id {quoted(id)} here.", param=param)
