"""Guessing passwords is slow: after some failures each attempt waits, longer each time.

Counted by name and by address; a browser that its person has logged in with before is counted for
itself alone, so that nobody else's attempts keep its person out. Rows, so that all processes count
together, locked in the order of their keys; bounded, and forgotten after a day.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from aurora_site.shares import subscriber
from providers.models import LoginAttempts
from providers.transactions import retried

MOST_SECONDS = 60
MOST_ROWS = 10_000
MOST_FORGOTTEN_ROWS = 1000
"""At once, so that no login waits long for it."""
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose attempts are counted: so many may fail before the first wait."""

    key: str
    free: int
    is_shared: bool = False
    """Whether others count here, too: one who succeeds takes back his own attempt alone."""

    def wait(self, failures: int) -> timedelta:
        """1 s, 2 s, 4 s … after each failure from the `free`th on."""
        if failures < self.free:
            return timedelta(0)
        return timedelta(seconds=min(MOST_SECONDS, 2 ** min(failures - self.free, 10)))


class MustWait(Exception):
    """It is too early for another attempt."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"wait {seconds} s")
        self.seconds = seconds


def subjects(
    name: str, address: str, browser: str | None, *, is_of_several: bool = False
) -> list[Subject]:
    """Of an attempt under `name` from `address`, in a `browser` that is known for the name or None.

    `is_of_several` says that accounts share the name but for its capitals: they are counted as one,
    and no login to one clears what was tried with the others.
    """
    if browser is not None:
        return [Subject(_key("browser", f"{browser} {name}"), free=3)]
    return [
        Subject(_key("name", _counted_name(name)), free=3, is_shared=is_of_several),
        Subject(_key("address", subscriber(address)), free=20, is_shared=True),
    ]


def begin(tried: Sequence[Subject]) -> datetime:
    """Count an attempt as failed until `succeed` takes it back: so attempts made at once count.
    Returns when it began.

    Raises MustWait, and counts nothing then: an early attempt does not prolong the wait.
    """
    try:
        return retried(partial(_begin, tried))
    except IntegrityError:  # a row that was there when it was to be added was gone when it was read
        return retried(partial(_begin, tried))


def succeed(tried: Sequence[Subject], begun: datetime | None = None) -> None:
    """Take the attempt that began at `begun` back, and all before it under the name or in the
    browser. A wait that somebody else's attempt has caused since then goes on."""
    retried(partial(_succeed, tried, begun))


@transaction.atomic
def _begin(tried: Sequence[Subject]) -> datetime:
    now = timezone.now()
    rows = [_row(subject, now) for subject in sorted(tried, key=lambda each: each.key)]
    if (until := max(row.until for _, row in rows)) > now:
        raise MustWait(math.ceil((until - now).total_seconds()))
    for subject, row in rows:
        row.failures = 1 if now - row.last > FORGOTTEN_AFTER else row.failures + 1
        row.last, row.until = now, now + subject.wait(row.failures)
        row.save()
    return now


@transaction.atomic
def _succeed(tried: Sequence[Subject], begun: datetime | None) -> None:
    shared = {subject.key for subject in tried if subject.is_shared}
    held = LoginAttempts.objects.select_for_update().order_by("pk")
    for row in held.filter(pk__in=[subject.key for subject in tried]):
        if row.pk in shared:
            _take_back(row, begun)
        else:
            row.delete()


def _take_back(row: LoginAttempts, begun: datetime | None) -> None:
    row.failures = max(0, row.failures - 1)
    if row.last == begun:
        row.until = row.last
    row.save()


def _row(subject: Subject, now: datetime) -> tuple[Subject, LoginAttempts]:
    """Locked; a new one where there was none."""
    rows = LoginAttempts.objects.select_for_update()
    row, is_new = rows.get_or_create(pk=subject.key, defaults={"last": now, "until": now})
    if is_new:
        _forget(now)
    return subject, row


def _forget(now: datetime) -> None:
    """Drop what is over, and the oldest where there are too many."""
    _drop(Q(last__lt=now - FORGOTTEN_AFTER))
    newest = LoginAttempts.objects.order_by("-last").values_list("last", flat=True)
    if last_dropped := newest[MOST_ROWS : MOST_ROWS + 1].first():
        _drop(Q(last__lte=last_dropped))


def _drop(which: Q) -> None:
    """Without what another login holds, for which this one, which holds rows itself, must not wait."""
    free = LoginAttempts.objects.select_for_update(skip_locked=True).filter(which).order_by("pk")
    pks = list(free.values_list("pk", flat=True)[:MOST_FORGOTTEN_ROWS])
    LoginAttempts.objects.filter(pk__in=pks).delete()


def _counted_name(name: str) -> str:
    """Without capitals where every database can tell which accounts share the rest."""
    return name.casefold() if name.isascii() else name


def _key(kind: str, value: str) -> str:
    return salted_hmac("login attempts", f"{kind} {value}", algorithm="sha256").hexdigest()
