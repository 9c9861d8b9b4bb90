"""What is urgent waits for nothing that is not: a key's end for no other row, a page for no test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from providers import discovery
from providers.background import Background
from providers.catalog import Catalog
from providers.homes import NOTHING_USED
from providers.key_use import KeyUse
from providers.models import Alias, ApiKey, Discovery, Provider
from providers.observed import Lookout
from providers.probing import Prober
from providers.snapshot import Snapshot
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.processes import eventually
from tests.providers.admin_pages import LIST, values
from tests.providers.api_client import MASTER, PROVIDERS, Api, master_key, refusal
from tests.providers.rounds import ROUNDS
from tests.scripted_vllm import ScriptedVllm

pytestmark = pytest.mark.django_db(transaction=True)


class Recorded(Catalog):
    """Keeps all that was ever published."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[Snapshot] = []

    def publish(self, snapshot: Snapshot) -> None:
        super().publish(snapshot)
        self.published.append(snapshot)


@pytest.fixture
def catalog() -> Iterator[Recorded]:
    """Of a process that runs."""
    recorded = Recorded()
    prober = Prober(
        recorded,
        Lookout(),
        lambda: {},
        lambda: NOTHING_USED,
        discovery.fetch(),
        probe_seconds=NEVER_SECONDS,
        lease_seconds=NEVER_SECONDS,
    )
    background = Background(
        recorded, KeyUse(), prober, discovery_seconds=NEVER_SECONDS, rounds=ROUNDS
    )
    background.start()
    yield recorded
    assert background.stop(PATIENCE_SECONDS)


def issued(catalog: Recorded) -> ApiKey:
    """A key that is live."""
    key, _ = ApiKey.objects.issue("who")
    eventually(lambda: key.digest in catalog.current().keys and catalog.current().is_loaded)
    return key


def is_over(catalog: Recorded, key: ApiKey) -> None:
    eventually(lambda: key.digest not in catalog.current().keys)


@contextlib.contextmanager
def held(model: type, mode: str) -> Iterator[None]:
    """A table that others have to wait for, on PostgreSQL; SQLite lets nobody wait for a reader."""
    if connection.vendor == "sqlite":
        pytest.skip("NOT RUN on SQLite: it locks no tables")
    table = model._meta.db_table  # type: ignore[attr-defined]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN {mode} MODE")
        yield


def elsewhere(work: object) -> None:
    """On a connection of its own, committed."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_done, work).result(PATIENCE_SECONDS)


def _done(work: object) -> None:
    try:
        work()  # type: ignore[operator]
    finally:
        connection.close()


@contextlib.contextmanager
def away(model: type) -> Iterator[None]:
    table = model._meta.db_table  # type: ignore[attr-defined]
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


def test_a_revoked_key_is_over_while_nothing_else_can_be_read(catalog: Recorded) -> None:
    key = issued(catalog)
    with away(Alias):
        key.revoke()
        is_over(catalog, key)


def test_a_revoked_key_is_over_while_servers_and_aliases_are_waited_for(catalog: Recorded) -> None:
    key = issued(catalog)
    with held(Provider, "ACCESS EXCLUSIVE"):
        elsewhere(key.revoke)
        is_over(catalog, key)


def test_a_revoked_key_is_over_while_what_servers_said_is_written(
    catalog: Recorded, vllm: ScriptedVllm
) -> None:
    key = issued(catalog)
    with held(Discovery, "EXCLUSIVE"):
        elsewhere(lambda: Provider.objects.create(name="a", base_url=vllm.url))
        eventually(lambda: vllm.discoveries)
        elsewhere(key.revoke)
        is_over(catalog, key)


def test_what_was_read_before_a_key_was_revoked_does_not_bring_it_back(catalog: Recorded) -> None:
    key = issued(catalog)
    with held(Alias, "ACCESS EXCLUSIVE"):
        elsewhere(lambda: Provider.objects.create(name="a", base_url="http://127.0.0.1:9"))
        waits_for("providers_alias")
        elsewhere(key.revoke)
        is_over(catalog, key)
        since = len(catalog.published)
    eventually(lambda: "a" in catalog.current().providers)

    assert [each for each in catalog.published[since:] if key.digest in each.keys] == []


def waits_for(table: str) -> None:
    """Until a query of another connection waits for this table: it has begun, and read the keys."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND query LIKE %s"
    )

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_stat_clear_snapshot()"
            )  # else as at the transaction's first look
            cursor.execute(waiting, [f"%FROM%{table}%"])
            return cursor.fetchone()[0] > 0

    eventually(waits)


@pytest.fixture
def stalled(vllm: ScriptedVllm) -> Iterator[ScriptedVllm]:
    """A server that takes calls and says nothing, asked by as many as may ask at once."""
    vllm.discovery.will_stall(always=True)
    row = Provider(name="stalled", base_url=vllm.url)
    asking = [
        threading.Thread(target=_done, args=[lambda: discovery.test(row)])
        for _ in range(discovery.MOST_TESTS)
    ]
    for thread in asking:
        thread.start()
    eventually(lambda: len(vllm.discoveries) == discovery.MOST_TESTS)
    yield vllm
    vllm.stop()
    for thread in asking:
        thread.join(PATIENCE_SECONDS)


def test_one_test_of_a_connection_too_many_is_refused_at_once_by_the_api(
    stalled: ScriptedVllm,
) -> None:
    master_key()
    Provider.objects.create(name="gpu-1", base_url=stalled.url)
    for action in ("test", "refresh"):
        answer = Api(MASTER).post(f"{PROVIDERS}/gpu-1/{action}")

        assert answer.status_code == 429
        assert answer["Retry-After"] == "5"
        assert refusal(answer)["code"] == "too_many_tests"


def test_one_test_of_a_connection_too_many_is_refused_at_once_in_the_admin(
    stalled: ScriptedVllm, admin_client
) -> None:
    row = Provider.objects.create(name="gpu-1", base_url=stalled.url)
    tested = admin_client.post(f"{LIST}{row.pk}/test/", values(name="gpu-1", base_url=stalled.url))
    refreshed = admin_client.post(f"{LIST}{row.pk}/refresh/", follow=True)

    for page in (tested, refreshed):
        assert "3 connection tests are running. Try again in a few seconds." in page.text


def test_a_place_is_free_once_its_server_has_answered(vllm: ScriptedVllm) -> None:
    row = Provider(name="a", base_url=vllm.url)
    assert all(discovery.test(row).ok for _ in range(discovery.MOST_TESTS + 1))
