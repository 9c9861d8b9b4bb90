"""`ETag`, `If-Match` and `If-None-Match` (RFC 9110, 8.8.3 and 13.1).

A tag has two parts: the version of what can be changed, and a digest of the whole answer, which also
tells how a server is. `If-Match` goes by the first alone, so that no probe comes between a look and
the change; a 304 by both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework.exceptions import APIException

from providers import versions
from providers.models import Alias, ApiKey, Provider

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
ANY = "*"


class PreconditionFailed(APIException):
    """It is no longer as the client knows it, so nothing was done."""

    status_code, default_code = 412, "precondition_failed"


def headers(row: Provider | Alias | ApiKey, told: Mapping[str, Any]) -> dict[str, str]:
    """The tag of the answer that tells `told` of `row`."""
    return {"ETag": f'"{versions.version(row)}.{versions.digest(told)}"'}


def is_known(sent: Mapping[str, str], tag: str) -> bool:
    """Whether the client has this answer already, by its `If-None-Match`."""
    known = sent.get("If-None-Match", "")
    return known.strip() == ANY or tag.strip('"') in (found for _, found in _tags(known))


def are_sent(sent: Mapping[str, str]) -> bool:
    return "If-Match" in sent or "If-None-Match" in sent


def check(sent: Mapping[str, str], row: Provider | Alias | ApiKey) -> None:
    """Whether `row` is as the headers of a change say. Raises PreconditionFailed."""
    now = versions.version(row)
    wanted, unwanted = sent.get("If-Match"), sent.get("If-None-Match")
    if wanted is not None and wanted.strip() != ANY:
        strong = {_version(tag) for is_weak, tag in _tags(wanted) if not is_weak}
        if now not in strong:
            raise PreconditionFailed(
                "Somebody else has changed this since, or If-Match names no strong tag of it."
                " Nothing was done: read it again."
            )
    if unwanted is not None and (
        unwanted.strip() == ANY or now in {_version(tag) for _, tag in _tags(unwanted)}
    ):
        raise PreconditionFailed("It is there as If-None-Match says. Nothing was done.")


def check_without_row(sent: Mapping[str, str]) -> None:
    """Of a route that speaks of several rows, or of none yet. Raises PreconditionFailed."""
    if sent.get("If-Match", ANY).strip() != ANY:
        raise PreconditionFailed("What this route changes has no tag: send no If-Match.")


def _tags(value: str) -> Iterator[tuple[bool, str]]:
    """Each tag of a list, weak or not; of one that is no list, those up to where it is none."""
    place = 0
    while place < len(value) and (found := _TAG.match(value, place)):
        yield bool(found[1]), found[2]
        place = found.end()


def _version(tag: str) -> str:
    return tag.partition(".")[0]
