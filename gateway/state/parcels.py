"""What is written next, from memory or from the spool. Blocking: on a thread of `lane`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.state import batch
from gateway.state.batch import Write
from gateway.state.spool import Place
from gateway.state.values import Copy

UNREADABLE = "its record in the spool is damaged"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A copy, or the place in the spool where it stands."""

    copy: Copy | None
    place: Place | None
    is_deleted: bool


def write(parcels: Sequence[Parcel]) -> list[str]:
    """As `batch.write`; a record that cannot be read is lost."""
    copies = [_copy(parcel) for parcel in parcels]
    writes = [
        Write(copy, parcel.is_deleted)
        for parcel, copy in zip(parcels, copies, strict=True)
        if copy is not None
    ]
    reasons = iter(batch.write(writes) if writes else ())
    return [UNREADABLE if copy is None else next(reasons) for copy in copies]


def _copy(parcel: Parcel) -> Copy | None:
    if parcel.copy is not None or parcel.place is None:
        return parcel.copy
    try:
        return parcel.place.read()
    except OSError:
        return None
