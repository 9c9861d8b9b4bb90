"""The history: every change with its values before and after, and never a secret."""

from __future__ import annotations

from datetime import timedelta

import pytest
from auditlog.models import LogEntry

from providers.key_use import KeyUse
from providers.models import Alias, AliasTarget, ApiKey, Discovery, Provider

pytestmark = pytest.mark.django_db

SECRET, OTHER_SECRET = "upstream-secret-of-the-first", "upstream-secret-of-the-second"


@pytest.fixture
def row():
    made = Provider(name="a", base_url="http://h:1")
    made.api_key = SECRET
    made.save()
    return Provider.objects.get()


def entries(of):
    return list(LogEntry.objects.get_for_object(of).order_by("id"))


def everything_written() -> str:
    return repr(list(LogEntry.objects.values()))


def test_an_edit_is_recorded_with_the_values_before_and_after(row):
    row.base_url, row.connect_seconds = "http://h:2", 9.0
    row.save()
    entry = entries(row)[-1]
    assert entry.action == LogEntry.Action.UPDATE
    assert entry.changes == {
        "base_url": ["http://h:1/v1", "http://h:2/v1"],
        "connect_seconds": ["5.0", "9.0"],
    }


def test_making_and_deleting_a_provider_are_recorded(row):
    pk = row.pk
    row.delete()
    actions = (
        LogEntry.objects.filter(object_pk=str(pk)).order_by("id").values_list("action", flat=True)
    )
    assert list(actions) == [LogEntry.Action.CREATE, LogEntry.Action.DELETE]


def test_a_save_that_changes_nothing_is_no_entry(row):
    row.save()
    assert len(entries(row)) == 1


def test_a_change_of_the_upstream_key_is_seen_but_not_the_key(row):
    row.api_key = OTHER_SECRET
    row.save()
    assert entries(row)[-1].changes == {"sealed_api_key": ["(set)", "(set)"]}
    row.api_key = ""
    row.save()
    assert entries(row)[-1].changes == {"sealed_api_key": ["(set)", "(none)"]}
    row.api_key = SECRET
    row.save()
    assert entries(row)[-1].changes == {"sealed_api_key": ["(none)", "(set)"]}


def test_no_secret_and_no_sealed_value_is_ever_written_into_the_history(row):
    sealed = [row.sealed_api_key]
    row.api_key = OTHER_SECRET
    row.save()
    sealed.append(row.sealed_api_key)
    row.delete()
    written = everything_written()
    for text in (SECRET, OTHER_SECRET, *sealed):
        assert text not in written


def test_a_keys_life_is_recorded_without_its_secret_or_digest():
    held, secret = ApiKey.objects.issue("who")
    successor, second = held.rotate(timedelta(hours=1))
    successor.revoke()

    assert {"expires", "successor"} <= set(entries(held)[-1].changes)
    assert list(entries(successor)[-1].changes) == ["revoked"]
    written = everything_written()
    for text in (secret, second, held.digest, successor.digest):
        assert text not in written


def test_what_was_discovered_and_the_use_of_keys_are_not_history(row):
    held, _ = ApiKey.objects.issue("who")
    before = LogEntry.objects.count()
    Discovery.objects.create(provider=row, cards=[{"id": "m"}])
    use = KeyUse()
    use.note(held.pk)
    use.write()
    assert LogEntry.objects.count() == before


def test_an_alias_and_its_targets_are_recorded():
    alias = Alias.objects.create(name="chat")
    target = AliasTarget.objects.create(alias=alias, model="m")
    alias.policy, target.weight = "random", 2.0
    alias.save()
    target.save()
    assert entries(alias)[-1].changes == {"policy": ["", "random"]}
    assert entries(target)[-1].changes == {"weight": ["1.0", "2.0"]}
    pk = target.pk
    target.delete()
    gone = LogEntry.objects.get(object_pk=str(pk), action=LogEntry.Action.DELETE)
    assert gone.object_repr == "m of chat"
