"""Keys in the admin: a secret is shown once; what is over stays over."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry as AdminLogEntry
from django.test import Client
from django.utils import timezone

from providers import revision
from providers.admin.keys import STATES
from providers.models import ApiKey
from tests.providers.admin_pages import HISTORY, KEYS, client_with, page, said, text

pytestmark = pytest.mark.django_db
ADD = f"{KEYS}add/"
DAY = timedelta(days=1)


def key(state: str = "active", name: str = "Chat UI", **fields: Any) -> ApiKey:
    """A key in `state`."""
    made, _ = ApiKey.objects.issue(name, **fields)
    if state == "rotated":
        made.rotate(DAY)
    if state == "expired":
        made.expires = timezone.now() - DAY
    if state == "retired":
        made.retired = timezone.now()
    made.save()
    if state == "revoked":
        made.revoke()
    assert made.state == state
    return made


def issue(client: Client, name: str = "Chat UI", **fields: str) -> Any:
    return client.post(ADD, {"id": str(uuid4()), "name": name, **fields})


def secret_in(answer: Any) -> str:
    """The one secret on a page."""
    [secret] = re.findall(r"aurora-[\w-]{43}", text(answer))
    return str(secret)


def test_a_new_key_is_shown_once_and_works(admin_client: Client) -> None:
    before = revision.current()

    answer = issue(admin_client)

    secret = secret_in(answer)
    held = ApiKey.objects.holding(secret)
    assert held
    assert (held.name, held.state, held.source, held.expires) == (
        "Chat UI",
        "active",
        "admin",
        None,
    )
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert revision.current() > before


def test_no_other_page_cookie_session_or_log_holds_the_secret(admin_client: Client) -> None:
    secret = secret_in(issue(admin_client))
    held = ApiKey.objects.get()

    for path in (KEYS, HISTORY, "/admin/", page(held), page(held, "history"), page(held, "rotate")):
        shown = text(admin_client.get(path))
        assert secret not in shown
        assert held.digest not in shown
    assert secret not in str(admin_client.cookies)
    assert secret not in str(dict(admin_client.session))
    assert all(secret not in str(vars(entry)) for entry in AdminLogEntry.objects.all())


def test_the_form_sent_twice_issues_one_key(admin_client: Client) -> None:
    sent = {"id": str(uuid4()), "name": "Chat UI"}
    secret = secret_in(admin_client.post(ADD, sent))

    again = admin_client.post(ADD, sent, follow=True)

    assert ApiKey.objects.count() == 1
    assert "was issued already" in said(again)
    assert secret not in text(again)


def test_each_page_offers_another_id(admin_client: Client) -> None:
    first, second = (admin_client.get(ADD).context["form"].initial["id"] for _ in range(2))

    assert first != second


def test_a_key_can_be_given_an_expiry(admin_client: Client) -> None:
    moment = (timezone.now() + DAY).replace(second=0, microsecond=0)

    issue(admin_client, expires=f"{moment:%Y-%m-%dT%H:%M}")

    assert ApiKey.objects.get().expires == moment


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 81},
        {"name": "a", "expires": "2020-01-01T00:00"},
        {"name": "a", "expires": "tomorrow"},
        {"name": "a", "id": "1"},
    ],
)
def test_a_wrong_form_issues_nothing(admin_client: Client, fields: dict[str, str]) -> None:
    answer = admin_client.post(ADD, {"id": str(uuid4()), **fields})

    assert answer.context["form"].errors
    assert not ApiKey.objects.exists()


def test_the_list_shows_each_key_with_its_state_and_hint(admin_client: Client) -> None:
    held = [key(state, f"Key {state}") for state in STATES]

    shown = text(admin_client.get(KEYS))

    for each in held:
        assert each.hint in shown
        assert each.name in shown
        assert each.digest not in shown


@pytest.mark.parametrize("state", [*STATES, "usable"])
def test_each_state_filter_finds_the_keys_in_that_state(admin_client: Client, state: str) -> None:
    for each in STATES:
        key(each)

    listed = list(admin_client.get(KEYS, {"state": state}).context["cl"].result_list)

    if state == "usable":
        assert {row.pk for row in listed} == {row.pk for row in ApiKey.objects.usable()}
    else:
        assert {row.state for row in listed} == {state}


def test_the_list_makes_as_many_queries_for_many_keys_as_for_one(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    def queries() -> int:
        with django_assert_max_num_queries(40) as counted:
            assert admin_client.get(KEYS).status_code == 200
        return len(counted)

    key()
    with_one = queries()
    for number in range(12):
        key(list(STATES)[number % len(STATES)])

    assert queries() == with_one


@pytest.mark.parametrize(("overlap", "expected"), [("3600", timedelta(hours=1)), ("86400", DAY)])
def test_rotating_shows_the_successor_and_lets_the_old_key_go_on(
    admin_client: Client, overlap: str, expected: timedelta
) -> None:
    old = key()

    answer = admin_client.post(page(old, "rotate"), {"overlap": overlap})

    successor = ApiKey.objects.holding(secret_in(answer))
    old.refresh_from_db()
    assert successor
    assert old.successor == successor
    assert (old.state, successor.state, successor.name) == ("rotated", "active", old.name)
    assert old.expires
    assert abs(old.expires - timezone.now() - expected) < timedelta(seconds=30)
    assert "no-store" in answer["Cache-Control"]
    assert "goes on until" in text(answer)


def test_rotating_without_overlap_stops_the_old_key(admin_client: Client) -> None:
    old = key()

    answer = admin_client.post(page(old, "rotate"), {"overlap": "0"})

    old.refresh_from_db()
    assert old.state == "expired"
    assert "has stopped" in text(answer)


def to_the_minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M}"


def test_the_page_shows_until_when_the_successor_lives_before_it_is_made(
    admin_client: Client,
) -> None:
    old = key(expires=timezone.now() + 90 * DAY)

    shown = admin_client.get(page(old, "rotate")).context["form"]["expires"].value()
    answer = admin_client.post(
        page(old, "rotate"), {"overlap": "0", "expires": to_the_minute(shown)}
    )

    successor = ApiKey.objects.holding(secret_in(answer))
    assert successor
    assert successor.expires
    assert to_the_minute(successor.expires) == to_the_minute(shown)
    assert abs(successor.expires - timezone.now() - 90 * DAY) < timedelta(minutes=2)
    assert to_the_minute(shown).replace("T", " ") in text(answer)


@pytest.mark.parametrize("days", [1, 400])
def test_the_expiry_of_the_successor_may_be_changed_on_the_page(
    admin_client: Client, days: int
) -> None:
    chosen = timezone.now() + days * DAY

    sent = {"overlap": "3600", "expires": to_the_minute(chosen)}
    admin_client.post(page(key(expires=timezone.now() + 90 * DAY), "rotate"), sent)

    assert ApiKey.objects.latest("created").expires == chosen.replace(second=0, microsecond=0)


def test_only_an_emptied_field_makes_a_successor_that_never_expires(admin_client: Client) -> None:
    unsaid, emptied = (key(expires=timezone.now() + 90 * DAY) for _ in range(2))

    admin_client.post(page(unsaid, "rotate"), {"overlap": "3600"})
    admin_client.post(page(emptied, "rotate"), {"overlap": "3600", "expires": ""})

    successors = [ApiKey.objects.get(predecessor=each) for each in (unsaid, emptied)]
    assert [each.expires is None for each in successors] == [False, True]


def test_an_expiry_in_the_past_rotates_nothing(admin_client: Client) -> None:
    sent = {"overlap": "3600", "expires": "2020-01-01T00:00"}

    assert "That is past" in text(admin_client.post(page(key(), "rotate"), sent))
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("overlap", ["", "-1", "12", "forever"])
def test_another_overlap_is_refused(admin_client: Client, overlap: str) -> None:
    old = key()

    answer = admin_client.post(page(old, "rotate"), {"overlap": overlap})

    assert "aurora-" not in text(answer)
    assert ApiKey.objects.count() == 1


def test_a_rotation_sent_twice_makes_one_successor(admin_client: Client) -> None:
    old = key()
    admin_client.post(page(old, "rotate"), {"overlap": "3600"})

    again = admin_client.post(page(old, "rotate"), {"overlap": "3600"}, follow=True)

    assert ApiKey.objects.count() == 2
    assert "it cannot be rotated" in said(again)


def test_revoking_is_final(admin_client: Client) -> None:
    held = key()
    before = revision.current()
    assert "This is final" in text(admin_client.get(page(held, "revoke")))

    answer = admin_client.post(page(held, "revoke"), follow=True)

    held.refresh_from_db()
    first = held.revoked
    assert held.state == "revoked"
    assert "is revoked" in said(answer)
    assert revision.current() > before
    again = admin_client.post(page(held, "revoke"), follow=True)
    held.refresh_from_db()
    assert held.revoked == first
    assert "it cannot be revoked" in said(again)


def test_looking_at_the_pages_changes_nothing(admin_client: Client) -> None:
    held = key()

    admin_client.get(page(held, "revoke"))
    admin_client.get(page(held, "rotate"))
    admin_client.get(ADD)

    held.refresh_from_db()
    assert held.state == "active"
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("state", list(STATES))
def test_only_what_the_state_allows_is_offered(admin_client: Client, state: str) -> None:
    shown = text(admin_client.get(page(held := key(state))))

    assert (page(held, "rotate") in shown) == (state == "active")
    assert (page(held, "revoke") in shown) == (state in {"active", "rotated"})
    assert ('name="_save"' in shown) == (state in {"active", "rotated"})


def test_name_kind_and_expiry_are_all_that_an_edit_changes(admin_client: Client) -> None:
    held = key()
    moment = (timezone.now() + DAY).replace(second=0, microsecond=0)
    sent = {
        "name": "New name",
        "expires": f"{moment:%Y-%m-%dT%H:%M}",
        "digest": "0" * 64,
        "revoked": "2026-01-01",
        "owner": str(uuid4()),
    }

    assert admin_client.post(page(held), sent).status_code == 302

    changed = ApiKey.objects.get()
    assert (changed.name, changed.expires) == ("New name", moment)
    assert (changed.digest, changed.revoked, changed.kind) == (held.digest, None, held.kind)
    assert changed.owner == held.owner


def test_an_edit_of_the_name_keeps_the_expiry_to_the_second(admin_client: Client) -> None:
    held = key("rotated")
    form = admin_client.get(page(held)).context["adminform"].form
    shown = form["expires"].value().strftime("%Y-%m-%dT%H:%M")

    admin_client.post(page(held), {"name": "New name", "expires": shown})

    assert ApiKey.objects.get(pk=held.pk).expires == held.expires
    assert ApiKey.objects.get(pk=held.pk).name == "New name"


def test_an_expiry_in_the_past_is_refused(admin_client: Client) -> None:
    held = key()

    answer = admin_client.post(page(held), {"name": "a", "expires": "2020-01-01T00:00"})

    assert "revoke it" in text(answer)


@pytest.mark.parametrize("state", ["expired", "retired", "revoked"])
def test_a_key_that_is_over_cannot_be_edited(admin_client: Client, state: str) -> None:
    held = key(state)

    assert admin_client.post(page(held), {"name": "Revived", "expires": ""}).status_code == 403
    assert admin_client.get(page(held)).status_code == 200


def test_no_key_can_be_deleted(admin_client: Client) -> None:
    held = key()

    assert admin_client.post(page(held, "delete"), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [held.pk], "post": "yes"}
    admin_client.post(KEYS, chosen)
    assert ApiKey.objects.exists()


@pytest.mark.parametrize("view", ["rotate", "revoke"])
def test_who_may_only_look_cannot_act(view: str) -> None:
    held, client = key(), client_with("view_apikey")

    assert client.get(page(held, view)).status_code == 403
    assert client.post(page(held, view), {"overlap": "0"}).status_code == 403
    held.refresh_from_db()
    assert held.state == "active"
    shown = text(client.get(page(held)))
    assert page(held, view) not in shown
    assert held.digest not in shown


def test_adding_and_rotating_need_the_right_to_add() -> None:
    held, client = key(), client_with("view_apikey", "change_apikey")

    assert client.get(ADD).status_code == 403
    assert issue(client).status_code == 403
    assert client.post(page(held, "rotate"), {"overlap": "0"}).status_code == 403
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("path", [ADD, "rotate", "revoke"])
def test_every_change_needs_the_forgery_token(admin_user: Any, path: str) -> None:
    held, client = key(), Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    sent = {"id": str(uuid4()), "name": "Forged", "overlap": "0"}

    answer = client.post(path if path == ADD else page(held, path), sent)

    assert answer.status_code == 403
    held.refresh_from_db()
    assert held.state == "active"
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("path", [ADD, "rotate", "revoke"])
def test_other_methods_are_refused(admin_client: Client, path: str) -> None:
    held = key()

    address = path if path == ADD else page(held, path)

    assert admin_client.put(address).status_code == 405
    assert admin_client.delete(address).status_code == 405


def test_a_key_that_is_not_there_is_not_found(admin_client: Client) -> None:
    gone = ApiKey(name="gone")

    assert admin_client.get(page(gone, "rotate")).status_code == 404
    assert admin_client.post(page(gone, "revoke")).status_code == 404


def test_a_key_whose_variable_is_gone_is_flagged_until_it_is_over(admin_client: Client) -> None:
    key = ApiKey.objects.register(
        "sk-of-a-variable-0001", name="AURORA_MASTER_KEY", source="env", unnamed=timezone.now()
    )

    listed, shown = (admin_client.get(url).content.decode() for url in (KEYS, page(key)))
    assert "no longer named" in listed
    assert "its variable was not set. It is accepted until somebody revokes it here" in shown

    key.revoke()
    assert "no longer named" not in admin_client.get(KEYS).content.decode()
    assert "its variable was not set" not in admin_client.get(page(key)).content.decode()
