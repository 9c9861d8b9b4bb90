"""AURORA_ADMIN_PASSWORD: the superuser that it makes."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from providers.seeding.superuser import admin_password, seed_superuser
from providers.seeding.wanted import SeedError

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def users() -> list[tuple[str, bool]]:
    return list(get_user_model().objects.values_list("username", "is_superuser"))


def test_the_superuser_is_added_once():
    assert seed_superuser("hunter2-hunter2") == [
        "superuser admin: added with AURORA_ADMIN_PASSWORD"
    ]
    before = get_user_model().objects.get().password

    assert seed_superuser("hunter2-hunter2") == []

    user = get_user_model().objects.get()
    assert users() == [("admin", True)]
    assert user.check_password("hunter2-hunter2")
    assert user.password == before


def test_the_superusers_password_is_not_set_back():
    seed_superuser("hunter2-hunter2")

    (said,) = seed_superuser("hunter3-hunter3")

    assert "manage.py changepassword admin" in said
    assert "hunter" not in said
    assert get_user_model().objects.get().check_password("hunter2-hunter2")


def test_a_missing_superuser_is_told():
    (said,) = seed_superuser("")
    assert "set AURORA_ADMIN_PASSWORD" in said

    get_user_model().objects.create_superuser("someone", password="x")
    assert seed_superuser("") == []


def test_a_password_that_is_not_text_is_refused():
    with pytest.raises(ValueError, match="AURORA_ADMIN_PASSWORD: it is not UTF-8 text"):
        admin_password({"AURORA_ADMIN_PASSWORD": "hunter2\udcff"})


@pytest.mark.parametrize("password", ["a", "hunter2", "password1"])
def test_a_weak_password_makes_no_superuser_and_is_not_repeated(password):
    with pytest.raises(SeedError, match="AURORA_ADMIN_PASSWORD: This password is") as refusal:
        seed_superuser(password)

    assert "hunter2" not in str(refusal.value)
    assert users() == []


def test_a_weak_password_stops_no_start_once_the_superuser_is_there():
    get_user_model().objects.create_superuser("admin", password="a")

    assert seed_superuser("a") == []
