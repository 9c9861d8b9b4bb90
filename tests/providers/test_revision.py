"""Every change of what calls read is counted, in its own transaction, and nothing else is."""

from __future__ import annotations

import contextlib

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from providers import revision
from providers.models import Alias, AliasTarget, ApiKey, Discovery, Provider, Revision

pytestmark = pytest.mark.django_db


@pytest.fixture
def row():
    return Provider.objects.create(name="a", base_url="http://h")


def test_before_any_change_it_is_nought():
    Revision.objects.all().delete()
    assert revision.current() == 0


def test_the_first_change_makes_it_one():
    Revision.objects.all().delete()
    revision.bump()
    revision.bump()
    assert (revision.current(), Revision.objects.count()) == (2, 1)


CHANGES = {
    "a provider added": lambda row: Provider.objects.create(name="b", base_url="http://h"),
    "a provider saved": lambda row: row.save(),
    "a provider deleted": lambda row: row.delete(),
    "providers deleted at once": lambda row: Provider.objects.all().delete(),
    "something discovered": lambda row: Discovery.objects.create(provider=row),
    "an alias added": lambda row: Alias.objects.create(name="x"),
    "a key issued": lambda row: ApiKey.objects.issue("n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_kind_of_change_makes_it_grow(change, row):
    before = revision.current()
    change(row)
    assert revision.current() > before


def test_every_step_of_a_keys_life_makes_it_grow():
    held, _ = ApiKey.objects.issue("n")
    for step in (
        lambda: held.rotate(overlap=held.created - held.created),
        held.revoke,
        held.delete,
    ):
        before = revision.current()
        step()
        assert revision.current() > before


def test_every_step_of_an_aliass_life_makes_it_grow():
    alias = Alias.objects.create(name="x")
    target = AliasTarget(alias=alias, model="m")
    for step in (target.save, alias.save, target.delete, alias.delete):
        before = revision.current()
        step()
        assert revision.current() > before


def test_what_calls_do_not_read_does_not_count(row):
    before = revision.current()
    get_user_model().objects.create(username="u")
    ApiKey.objects.filter(pk=row.pk).update(last_used=row.created)
    assert revision.current() == before


def test_a_change_that_is_rolled_back_was_none():
    before = revision.current()
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        Provider.objects.create(name="b", base_url="http://h")
        raise ZeroDivisionError
    assert revision.current() == before
