"""Who owns what is kept for a key: the same through every rotation, and never another's."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from providers.catalog import load
from providers.models import ApiKey
from providers.seeding import keys
from providers.snapshot import KeyEntry

pytestmark = pytest.mark.django_db

FIRST, SECOND, THIRD = (f"master-key-of-these-tests-{number}" for number in range(3))


def owner(secret: str) -> UUID:
    found = ApiKey.objects.holding(secret)
    assert found
    return found.owner


def test_each_key_that_is_issued_has_its_own():
    owners = {ApiKey.objects.issue("who")[0].owner for _ in range(3)}
    assert len(owners) == 3


def test_a_successor_has_its_predecessors_however_often_it_is_rotated():
    first, _ = ApiKey.objects.issue("who")
    second, _ = first.rotate(timedelta(hours=1))
    third, _ = second.rotate(timedelta(hours=1))
    assert first.owner == second.owner == third.owner


def test_a_call_knows_whose_its_key_is():
    held, _ = ApiKey.objects.issue("who")
    successor, _ = held.rotate(timedelta(hours=1))
    entries = load().keys
    assert entries[held.digest].owner == entries[successor.digest].owner == held.owner


def test_an_entry_without_an_owner_is_its_own():
    entry = KeyEntry(uuid4(), "n", "…", "master")
    assert entry.owner == entry.id


def test_the_next_key_of_the_variable_takes_over_what_the_one_before_had():
    keys.seed_master_keys([FIRST])
    keys.seed_master_keys([SECOND])
    keys.seed_master_keys([THIRD])
    assert owner(FIRST) == owner(SECOND) == owner(THIRD)
    keys.seed_master_keys([FIRST])
    assert owner(FIRST) == owner(THIRD)


def revoked() -> None:
    found = ApiKey.objects.holding(FIRST)
    assert found
    found.revoke()


def rotated() -> None:
    found = ApiKey.objects.holding(FIRST)
    assert found
    found.rotate(timedelta(hours=1))


@pytest.mark.parametrize("ended", [revoked, rotated])
def test_a_key_that_had_ended_before_hands_nothing_to_the_variables_next(ended):
    keys.seed_master_keys([FIRST])
    ended()
    keys.seed_master_keys([SECOND])
    assert owner(SECOND) != owner(FIRST)


def test_a_key_of_the_admin_hands_nothing_to_the_variables():
    made, _ = ApiKey.objects.issue("made in the admin")
    keys.seed_master_keys([FIRST])
    assert owner(FIRST) != made.owner


def test_a_key_of_the_admin_keeps_its_own_also_in_the_variable():
    made, secret = ApiKey.objects.issue("made in the admin")
    keys.seed_master_keys([FIRST])
    keys.seed_master_keys([secret])
    assert owner(secret) == made.owner != owner(FIRST)
