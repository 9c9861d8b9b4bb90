"""Logins at the same moment wait for each other's rows in one order, and never in a circle."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from providers import login_waits
from providers.login_waits import Subject
from providers.models import LoginAttempts
from tests.patience import PATIENCE_SECONDS
from tests.plugins.databases import on_postgres
from tests.processes import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not on_postgres(), reason="SQLite has one writer: nothing to be locked"),
]
FIRST, SECOND = Subject("a", free=20, is_shared=True), Subject("b", free=3)


def closing(work: Callable[[], object]) -> Callable[[], object]:
    """`work`, for a thread: with a connection of its own, which it gives up."""

    def done() -> object:
        try:
            return work()
        finally:
            connection.close()

    return done


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_clear_snapshot(), count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(cursor.fetchone()[1])


def is_free(key: str) -> bool:
    rows = LoginAttempts.objects.select_for_update(skip_locked=True)
    return rows.filter(pk=key).exists()


@pytest.mark.parametrize("tried", [[FIRST, SECOND], [SECOND, FIRST]])
def test_a_good_login_locks_in_the_order_of_the_others(tried: list[Subject]) -> None:
    login_waits.begin(tried)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            LoginAttempts.objects.select_for_update().get(pk=FIRST.key)
            running = pool.submit(closing(lambda: login_waits.succeed(tried)))
            eventually(somebody_waits)
            free = is_free(SECOND.key)
        running.result(PATIENCE_SECONDS)

    assert free
    assert list(LoginAttempts.objects.values_list("pk", flat=True)) == [FIRST.key]


@pytest.mark.parametrize("most", [0, 10_000])
def test_what_is_forgotten_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Whoever forgets holds rows of his own."""
    monkeypatch.setattr(login_waits, "MOST_ROWS", most)
    long_ago = timezone.now() - timedelta(days=2)
    LoginAttempts.objects.create(key="old", last=long_ago, until=long_ago)
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        LoginAttempts.objects.select_for_update().get(pk="old")
        pool.submit(closing(lambda: login_waits.begin([SECOND]))).result(PATIENCE_SECONDS)

    assert LoginAttempts.objects.filter(pk="old").exists()
