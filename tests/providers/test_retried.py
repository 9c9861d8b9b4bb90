"""A change that the database undid in favour of another's is made again, a few times; no other is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.test import Client

from providers import revision
from providers.models import Provider
from providers.transactions import MOST_TRIES, edit, retried
from tests.providers.admin_pages import LIST, page, provider, said, values
from tests.providers.api_client import MASTER, PROVIDERS, Api, master_key
from tests.providers.beside import Other

pytestmark = pytest.mark.django_db(transaction=True)


def undone() -> OperationalError:
    """As Django words what the driver says."""
    error = OperationalError("refused")
    if connection.vendor == "postgresql":
        error.__cause__ = psycopg.errors.DeadlockDetected("deadlock detected")
        return error
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    error.__cause__ = locked
    return error


@contextmanager
def undoing(times: int, error: Callable[[], Exception] = undone) -> Iterator[None]:
    """So many times the database refuses to write a provider."""
    left = times

    def refusing(execute: Callable[..., Any], sql: str, *call: Any) -> Any:
        nonlocal left
        if 'UPDATE "providers_provider"' in sql and left:
            left -= 1
            raise error()
        return execute(sql, *call)

    with connection.execute_wrapper(refusing):
        yield


@pytest.fixture
def server() -> Provider:
    master_key(MASTER)
    return provider("gpu", base_url="http://gpu")


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client


def weight_of(server: Provider) -> float:
    return Provider.objects.get(pk=server.pk).weight


def set_weight(server: Provider, weight: float) -> None:
    with edit():
        Provider.objects.filter(pk=server.pk).update(weight=weight)
        revision.bump()


def test_a_patch_that_gave_way_is_made_again(server: Provider) -> None:
    before = revision.current()

    with undoing(2):
        answer = Api(MASTER).patch(f"{PROVIDERS}/gpu", {"weight": 7})

    assert (answer.status_code, weight_of(server)) == (200, 7)
    assert revision.current() == before + 1


def test_a_form_that_gave_way_is_saved_and_says_so_once(server: Provider, browser: Client) -> None:
    Provider.objects.update(source="env")

    with undoing(2):
        sent = values(name="gpu", base_url="http://gpu", weight="7")
        answer = browser.post(page(server), sent, follow=True)

    assert weight_of(server) == 7
    assert said(answer).count("no longer follows it") == 1


def test_an_action_that_gave_way_is_done(server: Provider, browser: Client) -> None:
    with undoing(1):
        browser.post(LIST, {"action": "drain", "_selected_action": [server.pk]})

    assert Provider.objects.get().draining


def test_a_change_is_not_made_for_ever(server: Provider) -> None:
    with undoing(MOST_TRIES - 1):
        retried(lambda: set_weight(server, 7))
    assert weight_of(server) == 7

    with undoing(MOST_TRIES), pytest.raises(OperationalError):
        retried(lambda: set_weight(server, 8))
    assert weight_of(server) == 7


def test_what_failed_otherwise_is_not_made_again(server: Provider) -> None:
    with undoing(1, lambda: OperationalError("server closed the connection")):
        with pytest.raises(OperationalError):
            retried(lambda: set_weight(server, 7))
        assert weight_of(server) == 1


def test_a_part_of_a_transaction_is_not_made_again_by_itself(server: Provider) -> None:
    tries = 0

    def change() -> None:
        nonlocal tries
        tries += 1
        set_weight(server, 7)

    with undoing(1), pytest.raises(OperationalError), transaction.atomic():
        retried(change)
    assert tries == 1


def crossed(server: Provider, first: Callable[[], object]) -> None:
    """What locks the revision, and then the server."""
    with transaction.atomic():
        revision.bump()
        first()
        list(Provider.objects.select_for_update().filter(pk=server.pk))


def test_whoever_still_locks_in_another_order_fails_nobody(server: Provider) -> None:
    """Such as the release before, while both run: the server's own deadlocks, if it has any."""
    master_key("another-master-key-of-these-tests")
    other: list[Other] = []

    def patch() -> None:
        answer = Api(MASTER).patch(f"{PROVIDERS}/gpu", {"weight": 7})
        assert answer.status_code == 200

    def begin() -> None:
        other.append(Other(patch))
        other[0].wait()

    retried(lambda: crossed(server, begin if not other else lambda: None))
    other[0].result()

    assert weight_of(server) == 7
