"""Lists: which page the query asks for, and how a page is answered. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.errors import InvalidRequest
from gateway.state.values import Order, Page, item_id

DEFAULT_LIMIT = 20
MOST_PARAMETERS = 100
MOST_LIMIT_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be asked of a list, and by which names. What has no name cannot be asked."""

    most: int
    after: str = "after"
    before: str | None = None
    order: str | None = "order"

    @property
    def names(self) -> set[str]:
        return {"limit", *filter(None, (self.after, self.before, self.order))}


ITEMS = Terms(100)
INPUT_ITEMS = Terms(100, before="before")
MODELS = Terms(1000, after="after_id", before="before_id", order=None)
PAGED_BY = ITEMS.names | INPUT_ITEMS.names | MODELS.names


@dataclass(frozen=True, slots=True)
class Asked:
    """A page: at most `limit`, between `after` and `before` in the order asked for."""

    limit: int
    order: Order
    after: str | None
    before: str | None


def asked(query: bytes, terms: Terms, default_order: Order = "desc") -> Asked:
    """Raises InvalidRequest, which names the parameter. What has nothing to do with paging is not
    looked at."""
    given = _once_each(_parameters(query), terms)
    return Asked(
        _limit(given, terms.most),
        _order(given, terms.order, default_order),
        _cursor(given, terms.after),
        _cursor(given, terms.before),
    )


def every(query: bytes, name: str) -> list[str]:
    """The values of a list in the query: `name=`, or `name[]=` as OpenAI's clients write it."""
    return [value for given, value in _parameters(query) if given in (name, f"{name}[]")]


def all_of(query: bytes, name: str, known: Collection[str]) -> list[str]:
    """As `every`. Raises InvalidRequest where a value is not `known`."""
    values = every(query, name)
    for value in values:
        if value not in known:
            raise InvalidRequest(f"`{name}` cannot be {value[:200]!r}.", param=name)
    return values


def among(
    ids: Sequence[str], page: Asked, rank: Callable[[str], Any] = str
) -> tuple[Sequence[str], bool]:
    """The page of `ids`, which are sorted by `rank`, and whether more follow in the direction it is
    read.

    A cursor need not be there any more. With `before` alone, the page is what ends just before it.
    """
    first = bisect_right(ids, rank(page.after), key=rank) if page.after is not None else 0
    end = bisect_left(ids, rank(page.before), key=rank) if page.before is not None else len(ids)
    between = ids[first:end]
    has_more = len(between) > page.limit
    if page.before is not None and page.after is None:
        return between[-page.limit :], has_more
    return between[: page.limit], has_more


def listed(page: Page) -> bytes:
    """The page as OpenAI's clients read it. An empty one has empty cursors: they must be strings."""
    ids = [item_id(item) for item in page.items]
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [msgspec.Raw(item) for item in page.items],
            "first_id": ids[0] if ids else "",
            "last_id": ids[-1] if ids else "",
            "has_more": page.has_more,
        }
    )


def _parameters(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except UnicodeError:
        raise InvalidRequest("The query is not UTF-8, percent-encoded.") from None
    except ValueError:
        raise InvalidRequest(f"The query may have {MOST_PARAMETERS} parameters at most.") from None


def _once_each(parameters: Sequence[tuple[str, str]], terms: Terms) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in parameters:
        if name in PAGED_BY and name not in terms.names:
            raise InvalidRequest(f"This list cannot be asked by `{name}`.", param=name)
        if name in terms.names and name in given:
            raise InvalidRequest(f"`{name}` may be given once only.", param=name)
        given[name] = value
    return given


def _limit(given: Mapping[str, str], most: int) -> int:
    text = given.get("limit", str(DEFAULT_LIMIT))
    is_number = text.isascii() and text.isdigit() and len(text) <= MOST_LIMIT_DIGITS
    if not is_number or not 1 <= int(text) <= most:
        raise InvalidRequest(f"`limit` must be an integer from 1 to {most}.", param="limit")
    return int(text)


def _order(given: Mapping[str, str], name: str | None, default: Order) -> Order:
    text = given.get(name, default) if name else default
    if text == "asc":
        return "asc"
    if text == "desc":
        return "desc"
    raise InvalidRequest(f"`{name}` must be `asc` or `desc`.", param=name)


def _cursor(given: Mapping[str, str], name: str | None) -> str | None:
    cursor = given.get(name) if name else None
    if cursor == "":
        raise InvalidRequest(f"`{name}` must not be empty.", param=name)
    return cursor
