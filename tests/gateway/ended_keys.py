"""How the key of a call ends while the call goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from providers.snapshot import KeyEntry
from tests.mounted import MASTER_KEY

OTHER_KEY = "aurora-another-secret-of-these-tests"
Keys = dict[str, KeyEntry]


def expired(held: KeyEntry) -> KeyEntry:
    past = datetime.now(UTC) - timedelta(hours=1)
    return KeyEntry(held.id, held.name, held.hint, held.kind, past, held.owner)


def revoked(given: Keys) -> Keys:
    return {OTHER_KEY: given[OTHER_KEY]}


def over_time(given: Keys) -> Keys:
    return {**given, MASTER_KEY: expired(given[MASTER_KEY])}


def for_management_alone(given: Keys) -> Keys:
    held = given[MASTER_KEY]
    manager = KeyEntry(held.id, held.name, held.hint, "manager", None, held.owner)
    return {**given, MASTER_KEY: manager}


ENDS = pytest.mark.parametrize("ended", [revoked, over_time, for_management_alone])
