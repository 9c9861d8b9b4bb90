"""After a transactional test the database is as the migrations left it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType

from tests.plugins.emptying import Beginning

pytestmark = pytest.mark.django_db(transaction=True)


def spoil() -> None:
    """Add rows that refer to each other; change, remove and add some of those that were there."""
    user = User.objects.create_user("somebody")
    user.groups.add(Group.objects.create(name="some"))
    user.user_permissions.add(Permission.objects.latest("pk"))
    Permission.objects.filter(codename="add_user").update(name="Somebody's own name for it")
    ContentType.objects.latest("pk").delete()
    ContentType.objects.create(app_label="nobodys", model="nothing")


def test_what_a_test_wrote_is_gone_and_what_it_took_is_back():
    before = Beginning.now()

    spoil()
    before.restore()

    assert Beginning.now() == before
    assert any(before.tables.values())


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_begins_with_the_same_rows(time):
    assert not User.objects.exists()
    assert ContentType.objects.filter(app_label="providers").exists()
    assert not ContentType.objects.filter(app_label="nobodys").exists()

    spoil()
