"""Which process of the installation probes: the one that holds the lease.

All times are the database's, so the clocks of the processes' machines have no say.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Now

from providers.models import Lease

LEASE_SECONDS = 6.0
"""A holder that dies is replaced after so long, and a round of whoever comes next."""
RENEWED_AFTER = 1 / 4
"""The share of a lease after which its holder renews it."""
SANE_TERMS = 2
"""One that ends later is of a clock that was set back since. Not just more than a term: a statement
that waited for another's is of an earlier time than what that one wrote."""
PROBER = "prober"


def hold(holder: UUID, seconds: float = LEASE_SECONDS) -> bool:
    """Whether the lease is `holder`'s now; it becomes so if it is free, and is renewed in time.

    Every process must give the same `seconds`. It mostly reads: on SQLite whoever writes keeps the
    others from it.
    """
    term = timedelta(seconds=seconds)
    found = (
        Lease.objects.filter(pk=PROBER)
        .annotate(left=F("until") - Now())
        .values_list("holder", "left")
        .first()
    )
    if found is None:
        return _create(holder, term)
    owner, left = found
    if owner == holder and (1 - RENEWED_AFTER) * term < left <= SANE_TERMS * term:
        return True
    if owner != holder and timedelta(0) < left <= SANE_TERMS * term:
        return False
    return _take(holder, term)


def release(holder: UUID) -> None:
    """Let the next one have it at once."""
    Lease.objects.filter(pk=PROBER, holder=holder).delete()


def _create(holder: UUID, term: timedelta) -> bool:
    row, _ = Lease.objects.get_or_create(
        pk=PROBER, defaults={"holder": holder, "until": Now() + term}
    )
    return row.holder == holder


def _take(holder: UUID, term: timedelta) -> bool:
    free = Q(holder=holder) | Q(until__lte=Now()) | Q(until__gt=Now() + SANE_TERMS * term)
    taken = Lease.objects.filter(free, pk=PROBER).update(holder=holder, until=Now() + term)
    return taken == 1
