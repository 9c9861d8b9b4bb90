"""Keys that revoke each other at the same moment: one of them always stays."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from providers import key_edits, key_rights
from providers.key_rights import NotAllowed, Rights
from providers.models import ApiKey
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)
LONG_ENOUGH_TO_OVERTAKE_SECONDS = 0.5
"""For one that waits for nobody. A machine that is too busy for it makes the test blind, not red."""


def rights(key: ApiKey) -> Rights:
    return key_rights.of_key(key.pk, key.kind, key.expires)


def manager(**fields: Any) -> ApiKey:
    return ApiKey.objects.issue("manager", kind="manager", **fields)[0]


def outcome(ids: list[Any], by: Rights, begins: threading.Event) -> str:
    """Of a revocation in a thread and on a connection of its own."""
    begins.set()
    try:
        key_edits.revoke_all(ids, by)
    except NotAllowed as error:
        return str(error)
    finally:
        connection.close()
    return "done"


def at_once(first: tuple[list[Any], Rights], second: tuple[list[Any], Rights]) -> str:
    """What comes of the second, which begins after the first was done and before it was committed."""
    begins = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            key_edits.revoke_all(*first)
            running: Future[str] = pool.submit(outcome, *second, begins)
            assert begins.wait(PATIENCE_SECONDS)
            threading.Event().wait(LONG_ENOUGH_TO_OVERTAKE_SECONDS)
        return running.result(PATIENCE_SECONDS)


def test_two_keys_that_revoke_themselves_at_once_leave_one() -> None:
    one, two = manager(), manager()

    told = at_once(([one.pk], rights(one)), ([two.pk], rights(two)))

    assert told == key_edits.LAST
    assert list(ApiKey.objects.in_state("managing")) == [two]


def test_two_keys_that_revoke_each_other_at_once_leave_one() -> None:
    one, two = manager(), manager()

    told = at_once(([two.pk], rights(one)), ([one.pk], rights(two)))

    assert "revoked or changed meanwhile" in told
    assert list(ApiKey.objects.in_state("managing")) == [one]


def test_a_spare_that_is_made_while_its_maker_is_revoked_ends_with_it() -> None:
    thief, owner = manager(), manager()
    begins = threading.Event()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            key_edits.issue(rights(thief), "spare", kind="manager")
            running = pool.submit(outcome, [thief.pk], rights(owner), begins)
            assert begins.wait(PATIENCE_SECONDS)
            threading.Event().wait(LONG_ENOUGH_TO_OVERTAKE_SECONDS)
        assert running.result(PATIENCE_SECONDS) == "done"

    assert list(ApiKey.objects.in_state("managing")) == [owner]


def test_a_key_that_is_revoked_meanwhile_leaves_no_spare() -> None:
    thief, owner = manager(), manager()
    begins = threading.Event()

    def spare() -> str:
        begins.set()
        try:
            key_edits.issue(rights(thief), "spare", kind="manager")
        except NotAllowed as error:
            return str(error)
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            key_edits.revoke_all([thief.pk], rights(owner))
            running = pool.submit(spare)
            assert begins.wait(PATIENCE_SECONDS)
            threading.Event().wait(LONG_ENOUGH_TO_OVERTAKE_SECONDS)
        assert "revoked or changed meanwhile" in running.result(PATIENCE_SECONDS)

    assert list(ApiKey.objects.in_state("managing")) == [owner]
