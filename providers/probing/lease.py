"""Which process of the installation probes: the one that holds the lease.

All times are the database's, so the clocks of the processes' machines have no say.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Now

from providers.models import Lease

LEASE_SECONDS = 6
"""A holder that dies is replaced after so long, and a round of whoever comes next."""
RENEW_SECONDS = 2
PROBER = "prober"
_TERM = timedelta(seconds=LEASE_SECONDS)
_UNRENEWED = timedelta(seconds=LEASE_SECONDS - RENEW_SECONDS)
_SANE = 2 * _TERM
"""One that ends later is of a clock that was set back since. Not just more than a term: a statement
that waited for another's is of an earlier time than what that one wrote."""


def hold(holder: UUID) -> bool:
    """Whether the lease is `holder`'s now; it becomes so if it is free, and is renewed in time.

    It mostly reads: on SQLite whoever writes keeps the others from it.
    """
    found = (
        Lease.objects.filter(pk=PROBER)
        .annotate(left=F("until") - Now())
        .values_list("holder", "left")
        .first()
    )
    if found is None:
        return _create(holder)
    owner, left = found
    if owner == holder and _UNRENEWED < left <= _SANE:
        return True
    if owner != holder and timedelta(0) < left <= _SANE:
        return False
    return _take(holder)


def release(holder: UUID) -> None:
    """Let the next one have it at once."""
    Lease.objects.filter(pk=PROBER, holder=holder).delete()


def _create(holder: UUID) -> bool:
    row, _ = Lease.objects.get_or_create(
        pk=PROBER, defaults={"holder": holder, "until": Now() + _TERM}
    )
    return row.holder == holder


def _take(holder: UUID) -> bool:
    free = Q(holder=holder) | Q(until__lte=Now()) | Q(until__gt=Now() + _SANE)
    taken = Lease.objects.filter(free, pk=PROBER).update(holder=holder, until=Now() + _TERM)
    return taken == 1
