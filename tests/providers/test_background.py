"""The thread beside the calls, with a real database and real servers: what changes is live soon."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Self

import pytest
from django.db import connection
from django.utils import timezone

from providers import discovery, revision
from providers.asking import backoff_seconds
from providers.background import Background, Rounds
from providers.catalog import Catalog
from providers.homes import NOTHING_USED
from providers.key_use import KeyUse
from providers.models import ApiKey, Discovery, Provider, Revision
from providers.observed import Lookout
from providers.probing import Prober
from providers.snapshot import Snapshot
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.processes import eventually
from tests.providers.rounds import RETRYING, ROUNDS
from tests.scripted_vllm import ScriptedVllm

pytestmark = pytest.mark.django_db(transaction=True)

SOME_ROUNDS_SECONDS = 0.1
THREADS = ("aurora-background", "aurora-database")


class Watch:
    """A running Background, and what it has published."""

    def __init__(self, discovery_seconds: float = NEVER_SECONDS, rounds: Rounds = ROUNDS) -> None:
        self.catalog, self.key_use = Catalog(), KeyUse()
        prober = Prober(
            self.catalog,
            Lookout(),
            lambda: {},
            lambda: NOTHING_USED,
            discovery.fetch(),
            probe_seconds=NEVER_SECONDS,
            lease_seconds=NEVER_SECONDS,
        )
        self.background = Background(
            self.catalog,
            self.key_use,
            prober,
            discovery_seconds=discovery_seconds,
            rounds=rounds,
        )

    def __enter__(self) -> Self:
        self.background.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.background.stop(PATIENCE_SECONDS)

    @property
    def snapshot(self) -> Snapshot:
        return self.catalog.current()

    def shows(self, condition: Callable[[Snapshot], bool]) -> None:
        """Until a snapshot that fits is published; AssertionError when none is."""
        until(lambda: self.snapshot.is_loaded and condition(self.snapshot))


def until(condition: Callable[[], object]) -> None:
    def holds() -> object:
        with contextlib.suppress(KeyError):  # not this provider yet
            return condition()
        return False

    eventually(holds)


@pytest.fixture
def watch() -> Iterator[Watch]:
    with Watch() as running:
        yield running


@pytest.fixture
def other_vllm() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        yield server


def public_ids(snapshot: Snapshot) -> list[str]:
    """Those listed, each of one provider."""
    return [id for id, card in snapshot.cards.items() if id.startswith(f"{card['owned_by']}/")]


def have_come(vllm: ScriptedVllm, count: int) -> bool:
    return len(vllm.discoveries) >= count


def add(vllm: ScriptedVllm, name: str = "a", **fields: object) -> Provider:
    return Provider.objects.create(name=name, base_url=vllm.url, **fields)


OTHER_TABLES = "its tables are not those of this release"


@contextlib.contextmanager
def without_table(model: type) -> Iterator[None]:
    """The database works, but nobody can read `model`, as where its tables are another release's."""
    table = model._meta.db_table  # type: ignore[attr-defined]
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


def test_an_added_server_is_asked_and_its_models_are_live(watch, vllm):
    vllm.models = ["m", "org/n"]
    watch.shows(lambda snapshot: not snapshot.providers)
    add(vllm)
    watch.shows(lambda snapshot: public_ids(snapshot) == ["a/m", "a/org/n"])


def test_what_was_discovered_before_is_live_at_once_after_a_start(vllm):
    vllm.will_refuse()
    Discovery.objects.create(provider=add(vllm), cards=[{"id": "m"}])
    with Watch() as running:
        running.shows(lambda snapshot: "a/m" in snapshot.cards)


def test_every_edit_of_a_provider_is_live(watch, vllm):
    row = add(vllm)
    watch.shows(lambda snapshot: len(public_ids(snapshot)) == 1)

    row.name, row.idle_seconds = "b", 7.0
    row.save()
    watch.shows(lambda snapshot: [*snapshot.providers] == ["b"])
    assert watch.snapshot.providers["b"].idle_seconds == 7

    row.models_mode, row.model_ids = "allowlist", ["only"]
    row.save()
    watch.shows(lambda snapshot: public_ids(snapshot) == ["b/only"])

    row.enabled = False
    row.save()
    watch.shows(lambda snapshot: not snapshot.providers)

    row.enabled = True
    row.save()
    watch.shows(lambda snapshot: public_ids(snapshot) == ["b/only"])

    row.delete()
    watch.shows(lambda snapshot: not snapshot.providers)


def test_every_step_of_a_keys_life_is_live(watch):
    held, _ = ApiKey.objects.issue("who")
    watch.shows(lambda snapshot: set(snapshot.keys) == {held.digest})
    successor, _ = held.rotate(timedelta(hours=1))
    watch.shows(lambda snapshot: set(snapshot.keys) == {held.digest, successor.digest})
    held.revoke()
    watch.shows(lambda snapshot: set(snapshot.keys) == {successor.digest})
    successor.delete()
    watch.shows(lambda snapshot: not snapshot.keys)


def test_a_server_at_another_address_or_with_another_key_is_asked_anew(watch, vllm, other_vllm):
    vllm.models, other_vllm.models = ["here"], ["there"]
    other_vllm.required_key = "k"
    row = add(vllm)
    watch.shows(lambda snapshot: public_ids(snapshot) == ["a/here"])
    row.base_url = other_vllm.url
    row.save()
    until(lambda: Discovery.objects.get().error)
    row.api_key = "k"
    row.save()
    watch.shows(lambda snapshot: public_ids(snapshot) == ["a/there"])
    assert len(vllm.discoveries) == 1


def test_a_change_that_leaves_the_way_to_a_server_as_it_is_asks_it_nothing(watch, vllm, other_vllm):
    row = add(vllm)
    watch.shows(lambda snapshot: len(public_ids(snapshot)) == 1)
    row.passthrough = "control"
    row.save()
    watch.shows(lambda snapshot: snapshot.providers["a"].passthrough == "control")
    add(other_vllm, "b")  # and it is asked, so the one before would have been
    watch.shows(lambda snapshot: snapshot.providers["b"].models)
    assert len(vllm.discoveries) == 1


def test_a_failing_server_keeps_its_models_and_is_asked_again(vllm, caplog):
    Discovery.objects.create(provider=add(vllm), cards=[{"id": "old"}])
    vllm.models = ["new"]
    vllm.discovery.will_answer(500, always=True)
    with caplog.at_level(logging.INFO, "aurora.background"), Watch(rounds=RETRYING) as running:
        until(functools.partial(have_come, vllm, 3))
        assert public_ids(running.snapshot) == ["a/old"]
        vllm.discovery.will_answer(500)  # and no more after it
        running.shows(lambda snapshot: public_ids(snapshot) == ["a/new"])
    assert told_of_providers(caplog) == [
        "provider a: The server answers HTTP 500.",
        "provider a answers: 1 model.",
    ]


def test_a_failing_server_is_asked_again_ever_later():
    pauses = [backoff_seconds(failures, 1.0, 60.0) for failures in (0, 1, 2, 3, 5, 6, 10_000)]
    assert pauses == [1, 2, 4, 8, 32, 60, 60]


def test_a_server_that_answers_is_told_of_once_and_again_only_after_a_failure(vllm, caplog):
    add(vllm)
    with caplog.at_level(logging.INFO, "aurora.background"), Watch(0.02, RETRYING):
        until(functools.partial(have_come, vllm, 3))
        vllm.discovery.will_answer(500)
        until(lambda: len(told_of_providers(caplog)) == 3)
        until(functools.partial(have_come, vllm, len(vllm.discoveries) + 2))
    assert told_of_providers(caplog) == [
        "provider a answers: 1 model.",
        "provider a: The server answers HTTP 500.",
        "provider a answers again: 1 model.",
    ]


def told_of_providers(caplog: pytest.LogCaptureFixture) -> list[str]:
    told = [r.getMessage() for r in caplog.records if r.name == "aurora.background"]
    return [text for text in told if text.startswith("provider ")]


def test_a_server_that_was_down_is_live_after_it_comes_up(vllm):
    vllm.will_refuse()
    row = add(vllm)
    with Watch(rounds=RETRYING) as running:
        until(lambda: Discovery.objects.filter(provider=row).exclude(error="").exists())
        vllm.start()
        running.shows(lambda snapshot: len(public_ids(snapshot)) == 1)


def test_one_stalled_server_delays_no_other(watch, vllm, other_vllm):
    vllm.discovery.will_stall(always=True)
    add(vllm, "a")
    until(lambda: vllm.discoveries)
    add(other_vllm, "b")
    watch.shows(lambda snapshot: len(snapshot.providers["b"].models) == 1)
    held, _ = ApiKey.objects.issue("who")
    watch.shows(lambda snapshot: held.digest in snapshot.keys)
    assert not Discovery.objects.filter(provider__name="a").exists()


def test_while_the_database_fails_the_last_snapshot_stays_and_recovery_follows(watch, vllm, caplog):
    row = add(vllm)
    watch.shows(lambda snapshot: len(public_ids(snapshot)) == 1)
    last = watch.snapshot
    with caplog.at_level(logging.INFO, "aurora.background"):
        with without_table(Revision):
            until(lambda: OTHER_TABLES in caplog.text)
            time.sleep(SOME_ROUNDS_SECONDS)
            assert watch.snapshot.cards == last.cards
        row.name = "b"
        row.save()
        watch.shows(lambda snapshot: list(snapshot.providers) == ["b"])
        until(lambda: "the database answers again" in caplog.text)
    told = [r.getMessage() for r in caplog.records if r.name == "aurora.background"]
    assert len([text for text in told if OTHER_TABLES in text]) == 1
    assert len([text for text in told if text == "the database answers again"]) == 1


def test_a_database_that_fails_from_the_start_is_waited_for(caplog):
    with contextlib.ExitStack() as stack:
        with without_table(Revision):
            running = stack.enter_context(Watch())
            until(lambda: OTHER_TABLES in caplog.text)
            time.sleep(SOME_ROUNDS_SECONDS)
            assert not running.snapshot.is_loaded
        running.shows(lambda snapshot: snapshot.providers == {})


def test_a_snapshot_that_cannot_be_read_leaves_the_last_and_recovery_follows(watch, vllm, caplog):
    add(vllm)
    watch.shows(lambda snapshot: len(public_ids(snapshot)) == 1)
    last = watch.snapshot
    with without_table(ApiKey):
        Provider.objects.create(name="b", base_url="http://127.0.0.1:9")
        until(lambda: OTHER_TABLES in caplog.text)
        time.sleep(SOME_ROUNDS_SECONDS)
        assert watch.snapshot.cards == last.cards
    watch.shows(lambda snapshot: set(snapshot.providers) == {"a", "b"})


def test_a_failing_server_is_asked_again_while_the_database_fails(vllm):
    vllm.discovery.will_answer(500, always=True)
    add(vllm)
    with Watch(rounds=RETRYING):
        until(Discovery.objects.exists)
        with without_table(Revision):
            until(functools.partial(have_come, vllm, len(vllm.discoveries) + 2))


def test_key_use_is_written_at_the_end_at_the_latest():
    held, _ = ApiKey.objects.issue("who")
    began = timezone.now()
    with Watch(rounds=replace(ROUNDS, key_use_seconds=NEVER_SECONDS)) as running:
        running.shows(lambda snapshot: held.digest in snapshot.keys)
        running.key_use.note(held.pk)
    held.refresh_from_db()
    assert held.last_used is not None
    assert began <= held.last_used <= timezone.now()


def test_without_a_usable_key_the_log_says_what_to_set_and_says_it_once(caplog):
    with caplog.at_level(logging.WARNING, "aurora.background"), Watch() as running:
        until(lambda: "AURORA_MASTER_KEY" in caplog.text)
        Provider.objects.create(name="a", base_url="http://127.0.0.1:9", enabled=False)
        running.shows(lambda snapshot: snapshot.revision == revision.current())
    assert caplog.text.count("no usable key") == 1


def test_stopping_ends_the_threads_even_while_a_server_stalls(vllm):
    vllm.discovery.will_stall(always=True)
    add(vllm)
    with Watch():
        until(lambda: vllm.discoveries)
    until(lambda: not [each for each in threading.enumerate() if each.name.startswith(THREADS)])
    vllm.wait_until_left()


def test_stopping_while_the_database_fails_is_no_crash_of_the_thread():
    held, _ = ApiKey.objects.issue("who")
    crashes: list[object] = []
    before, threading.excepthook = threading.excepthook, crashes.append
    try:
        with Watch(rounds=replace(ROUNDS, key_use_seconds=NEVER_SECONDS)) as running:
            running.shows(lambda snapshot: held.digest in snapshot.keys)
            with without_table(ApiKey):
                running.key_use.note(held.pk)
                assert running.background.stop(PATIENCE_SECONDS)
    finally:
        threading.excepthook = before
    assert crashes == []
