"""When a key was last used is noted in memory and written in batches."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from providers import revision
from providers.key_use import KeyUse
from providers.models import ApiKey

pytestmark = pytest.mark.django_db


def issued(name: str) -> ApiKey:
    return ApiKey.objects.issue(name)[0]


def last_used(key: ApiKey):
    return ApiKey.objects.get(pk=key.pk).last_used


def test_what_was_noted_is_written_for_each_key_and_only_then():
    used, unused, use = issued("a"), issued("b"), KeyUse()
    before = timezone.now()
    use.note(used.pk)
    assert last_used(used) is None

    use.write()

    assert before <= last_used(used) <= timezone.now()
    assert last_used(unused) is None


def test_of_many_uses_the_last_is_written_in_one_statement(django_assert_num_queries):
    key, use = issued("a"), KeyUse()
    for _ in range(50):
        use.note(key.pk)
    with django_assert_num_queries(3):  # savepoint, update, release
        use.write()


def test_nothing_noted_asks_the_database_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        KeyUse().write()


def test_it_is_written_once(django_assert_num_queries):
    key, use = issued("a"), KeyUse()
    use.note(key.pk)
    use.write()
    with django_assert_num_queries(0):
        use.write()


def test_use_of_a_key_is_no_change_that_calls_must_learn_of():
    key, use = issued("a"), KeyUse()
    before = revision.current()
    use.note(key.pk)
    use.write()
    assert revision.current() == before


def test_a_key_that_is_gone_keeps_no_other_from_being_written():
    gone, there, use = issued("a"), issued("b"), KeyUse()
    use.note(gone.pk)
    use.note(there.pk)
    ApiKey.objects.filter(pk=gone.pk).delete()

    use.write()

    assert [key.name for key in ApiKey.objects.exclude(last_used=None)] == ["b"]


@pytest.mark.django_db(transaction=True)
def test_what_a_failing_database_did_not_take_is_written_the_next_time():
    first, second, use = issued("a"), issued("b"), KeyUse()
    use.note(first.pk)
    noted = timezone.now()
    table = ApiKey._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO away")
    try:
        with pytest.raises(DatabaseError):
            use.write()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE away RENAME TO {table}")
    use.note(second.pk)

    use.write()

    assert last_used(first) <= noted <= last_used(second)
