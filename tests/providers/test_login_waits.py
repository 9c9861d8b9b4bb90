"""Whoever guesses at passwords waits; whoever knows one gets in."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client
from django.utils import timezone

from providers import login_history, login_waits
from providers.admin.login import COOKIE
from providers.login_waits import MustWait, Subject, begin, subjects, succeed
from providers.models import LoginAttempts
from tests.providers.admin_pages import text

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-password-1"
LOGIN = "/admin/login/"
NAME = Subject("n", free=3)


@pytest.fixture(autouse=True)
def eve(quick_hashes: None) -> User:
    return User.objects.create_user("eve", password=PASSWORD, is_staff=True)


@pytest.fixture
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def attempt(client: Client, name: str = "eve", password: str = "wrong", **headers: str) -> Any:
    return client.post(LOGIN, {"username": name, "password": password}, headers=headers)


def fail(client: Client, times: int, name: str = "eve") -> None:
    for _ in range(times):
        assert "Too many" not in text(attempt(client, name))
    hold()


def hold() -> None:
    """Whoever must wait does so for an hour: a slow machine may take longer than a second."""
    waiting = LoginAttempts.objects.filter(until__gt=F("last"))
    waiting.update(until=timezone.now() + timedelta(hours=1))


def the_wait_is_over() -> None:
    LoginAttempts.objects.update(until=timezone.now())


def test_three_wrong_passwords_and_the_page_says_how_long_to_wait() -> None:
    client = Client()
    fail(client, 3)

    answer = attempt(client, password=PASSWORD)

    assert re.search(r"Too many logins have failed. Wait 3[56]\d\d seconds, then", text(answer))
    assert "_auth_user_id" not in client.session
    assert login_history.failures().count() == 3


def test_after_the_wait_the_right_password_gets_in_and_clears_the_count() -> None:
    client = Client()
    fail(client, 3)
    the_wait_is_over()

    assert attempt(client, password=PASSWORD).status_code == 302
    fail(Client(), 3)


def test_logins_under_a_name_that_nobody_has_wait_as_well() -> None:
    fail(Client(), 3, "nobody")

    assert "Too many logins have failed" in text(attempt(Client(), "nobody"))


@pytest.mark.parametrize("name", ["EVE", " eve"])
def test_another_way_to_write_the_name_is_no_way_around(name: str) -> None:
    fail(Client(), 3)

    assert "Too many" in text(attempt(Client(), name))


def test_many_names_from_one_address_wait_too() -> None:
    client = Client(REMOTE_ADDR="192.0.2.7")
    for number in range(20):
        fail(client, 1, f"name-{number}")

    assert "Too many" in text(attempt(client, "another", **{"x-forwarded-for": "203.0.113.9"}))
    fail(Client(REMOTE_ADDR="192.0.2.8"), 1, "another")


def test_a_guesser_keeps_the_right_person_out_of_no_browser_that_knows_them() -> None:
    known, guesser = Client(), Client()
    assert attempt(known, password=PASSWORD).status_code == 302
    known.post("/admin/logout/")
    fail(guesser, 3)
    assert "Too many" in text(attempt(Client(), password=PASSWORD))

    assert attempt(known, password=PASSWORD).status_code == 302


def test_a_known_browser_waits_for_its_own_failures_and_is_not_known_for_others() -> None:
    known = Client()
    attempt(known, password=PASSWORD)
    known.post("/admin/logout/")
    fail(known, 3)
    assert "Too many" in text(attempt(known))

    fail(known, 3, "other")
    assert "Too many" in text(attempt(Client(), "other"))


@pytest.mark.parametrize("value", ["", "eve", "eve:1:x", "WyJldmUiLCJ4Il0:1u:x"])
def test_a_cookie_that_is_forged_makes_no_browser_known(value: str) -> None:
    client = Client()
    fail(client, 3)
    client.cookies[COOKIE] = value

    assert "Too many" in text(attempt(client))


def test_the_cookie_is_for_the_login_page_alone_and_no_script() -> None:
    client = Client()
    attempt(client, password=PASSWORD)
    cookie = client.cookies[COOKIE]

    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (LOGIN, True, "Lax")
    assert COOKIE not in Client().get(LOGIN).cookies


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 0), (2, 0), (3, 1), (4, 2), (5, 4), (8, 32), (9, 60), (10**6, 60)],
)
def test_waits_grow_and_end(failures: int, seconds: int) -> None:
    assert NAME.wait(failures) == timedelta(seconds=seconds)


def test_an_attempt_during_the_wait_does_not_prolong_it() -> None:
    for _ in range(3):
        begin([NAME])
    hold()
    before = LoginAttempts.objects.get()

    for _ in range(5):
        with pytest.raises(MustWait):
            begin([NAME])

    after = LoginAttempts.objects.get()
    assert (after.failures, after.until) == (before.failures, before.until)


def test_attempts_made_at_once_count_each_other_before_a_password_is_looked_at() -> None:
    for _ in range(3):
        begin([NAME])
    hold()

    with pytest.raises(MustWait):
        begin([NAME])


def test_a_login_takes_back_only_its_own_attempt_from_the_address() -> None:
    tried = subjects("eve", "192.0.2.7", None)
    for other in ("a", "b"):
        begin(subjects(other, "192.0.2.7", None))
    begin(tried)

    succeed(tried)

    [address] = [each.key for each in tried if each.is_shared]
    assert LoginAttempts.objects.get(pk=address).failures == 2
    assert not LoginAttempts.objects.filter(pk=tried[0].key).exists()


def test_a_login_does_not_end_a_wait_that_another_attempt_has_caused_meanwhile() -> None:
    """Else somebody with one account of his own guesses at others without ever waiting."""
    own, guess = (subjects(name, "192.0.2.7", None) for name in ("mallory", "eve"))
    begun = begin(own)
    for number in range(19):
        begin(subjects(f"name-{number}", "192.0.2.7", None))
    hold()

    succeed(own, begun)

    with pytest.raises(MustWait):
        begin(guess)


@pytest.mark.parametrize(("other", "gets_in"), [("EVE", False), ("eve-2", True)])
def test_a_login_clears_nothing_of_an_account_that_is_written_alike(
    other: str, gets_in: bool
) -> None:
    User.objects.create_user(other, password=PASSWORD, is_staff=True)
    fail(Client(), 2)
    assert attempt(Client(), other, PASSWORD).status_code == 302

    fail(Client(), 1)

    assert ("Too many" not in text(attempt(Client(), other, PASSWORD))) == gets_in


def test_letters_beyond_ascii_are_counted_as_they_are_written() -> None:
    fail(Client(), 3, "ève")

    assert "Too many" in text(attempt(Client(), "ève"))
    assert "Too many" not in text(attempt(Client(), "ÈVE"))


def test_after_a_day_it_is_forgotten() -> None:
    for _ in range(3):
        begin([NAME])
    long_ago = timezone.now() - timedelta(days=1, minutes=1)
    LoginAttempts.objects.update(last=long_ago, until=long_ago)

    begin([NAME])

    assert LoginAttempts.objects.get().failures == 1
    LoginAttempts.objects.update(last=long_ago)
    begin([Subject("other", free=3)])
    assert [row.pk for row in LoginAttempts.objects.all()] == ["other"]


def test_many_names_do_not_fill_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_waits, "MOST_ROWS", 5)

    for number in range(12):
        begin([Subject(f"{number}", free=3)])

    assert LoginAttempts.objects.count() <= 6
    assert LoginAttempts.objects.filter(pk="11").exists()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("", "unix:", True),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, other: str, same: bool) -> None:
    keys = [subjects("eve", address, None)[1].key for address in (one, other)]

    assert (keys[0] == keys[1]) == same


def test_no_row_says_the_name_that_was_typed() -> None:
    attempt(Client(), "a-password-typed-as-name")

    assert "a-password-typed" not in str([vars(row) for row in LoginAttempts.objects.all()])
