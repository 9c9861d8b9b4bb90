"""When each key was last used: noted on the way of a call, written in batches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from providers.models import ApiKey
from providers.transactions import retried


class KeyUse:
    """Holds at most one moment per key, so it is as small as the table of keys."""

    def __init__(self) -> None:
        self._moments: dict[UUID, datetime] = {}

    def note(self, key_id: UUID) -> None:
        self._moments[key_id] = timezone.now()

    def write(self) -> None:
        """Write what was noted. What a failing database did not take is kept for the next time."""
        if not self._moments:
            return
        moments, self._moments = self._moments, {}
        try:
            retried(partial(_write, moments))
        except Exception:  # whatever failed, what was noted must not be lost with it
            self._moments = moments | self._moments
            raise


@transaction.atomic
def _write(moments: Mapping[UUID, datetime]) -> None:
    for key_id, moment in sorted(moments.items()):  # as `transactions` says
        ApiKey.objects.filter(pk=key_id).update(last_used=moment)
