"""Keys that are chosen in the list and rotated or revoked together."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.utils import timezone

from providers import key_edits, revision
from providers.admin.keys import STATES
from providers.models import ApiKey
from tests.providers.admin_pages import HISTORY, KEYS, client_with, said, text
from tests.providers.test_admin_keys import key

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def ask(client: Client, verb: str, keys: list[ApiKey], **sent: str) -> Any:
    chosen = {"action": f"{verb}_selected", "_selected_action": [each.pk for each in keys]}
    return client.post(KEYS, chosen | sent)


def confirm(client: Client, verb: str, keys: list[ApiKey], **sent: Any) -> Any:
    overlap = {"overlap": "3600"} if verb == "rotate" else {}
    listed = {"key": [each.pk for each in keys]}
    return client.post(f"{KEYS}{verb}-selected/", listed | overlap | sent, follow=True)


def listed(answer: Any) -> list[str]:
    """The keys that the page would send."""
    return re.findall(r'name="key" value="([^"]+)"', text(answer))


def csv_on(answer: Any) -> list[list[str]]:
    """What *Save as CSV* saves."""
    [held] = re.findall(r'<script id="keys-csv"[^>]*>(.*?)</script>', text(answer), re.DOTALL)
    return list(csv.reader(io.StringIO(json.loads(held), newline="")))


def states(keys: list[ApiKey]) -> list[str]:
    return [ApiKey.objects.get(pk=each.pk).state for each in keys]


def test_many_keys_are_rotated_and_their_secrets_shown_once(admin_client: Client) -> None:
    keys = [key(name="a"), key(name="b", expires=timezone.now() + 90 * DAY), key(name="c")]
    before = revision.current()

    asked = ask(admin_client, "rotate", keys)
    answer = confirm(admin_client, "rotate", keys)

    head, *rows = csv_on(answer)
    made = [ApiKey.objects.holding(secret) for _, _, secret in rows]
    assert listed(asked) == [str(each.pk) for each in keys]
    assert head == ["name", "hint", "secret"]
    assert [(row[0], row[1]) for row in rows] == [(m.name, m.hint) for m in made if m]
    assert states(keys) == ["rotated"] * 3
    assert [bool(m and m.expires) for m in made] == [False, True, False]
    assert "no-store" in answer["Cache-Control"]
    assert answer.redirect_chain == []
    assert revision.current() > before
    assert LogEntry.objects.filter(object_pk__in=[each.pk for each in keys], action=1).count() == 3


def test_loading_the_page_with_the_secrets_again_changes_nothing_and_shows_none(
    admin_client: Client,
) -> None:
    keys = [key(), key()]
    secrets = [row[2] for row in csv_on(confirm(admin_client, "rotate", keys))[1:]]

    again = confirm(admin_client, "rotate", keys)
    back = ask(admin_client, "rotate", keys)

    assert "it cannot be rotated. Nothing was changed." in said(again)
    assert ApiKey.objects.count() == 4
    shown = "".join(map(text, (again, back, *(admin_client.get(p) for p in (KEYS, HISTORY)))))
    assert [secret for secret in secrets if secret in shown] == []
    assert [s for s in secrets if s in str(dict(admin_client.session))] == []


def test_many_keys_are_revoked_for_good(admin_client: Client) -> None:
    keys, other = [key(), key("rotated")], key(name="Other")

    asked = ask(admin_client, "revoke", keys)
    assert "This is final" in text(asked)
    assert states(keys) == ["active", "rotated"]
    answer = confirm(admin_client, "revoke", keys)

    assert "Keys revoked: 2." in said(answer)
    assert states([*keys, other]) == ["revoked", "revoked", "active"]
    for each in keys:
        assert LogEntry.objects.get_for_object(each).first().changes_dict["revoked"][0] == "None"


def test_the_page_lists_what_can_be_done_and_names_what_is_left_out(admin_client: Client) -> None:
    keys = {state: key(state, f"Key {state}") for state in STATES}

    rotate = ask(admin_client, "rotate", list(keys.values()))
    revoke = ask(admin_client, "revoke", list(keys.values()))

    assert listed(rotate) == [str(keys["active"].pk)]
    assert set(listed(revoke)) == {str(keys["active"].pk), str(keys["rotated"].pk)}
    for state in ("expired", "retired", "revoked"):
        assert f"{keys[state]}: {state}" in text(rotate)
        assert f"{keys[state]}: {state}" in text(revoke)


def test_whoever_revokes_the_last_usable_keys_is_told(admin_client: Client) -> None:
    keys = [key(), key()]

    assert "No other key is usable" in text(ask(admin_client, "revoke", keys))
    assert "No other key is usable" not in text(ask(admin_client, "revoke", keys[:1]))


def test_where_nothing_chosen_can_be_rotated_nothing_is_asked(admin_client: Client) -> None:
    answer = admin_client.post(
        KEYS,
        {"action": "rotate_selected", "_selected_action": [key("expired").pk]},
        follow=True,
    )

    assert "None of these keys can be rotated" in said(answer)


def test_where_one_of_the_keys_has_changed_meanwhile_none_is_rotated(admin_client: Client) -> None:
    keys = [key(), key()]
    ask(admin_client, "rotate", keys)
    keys[1].revoke()

    answer = confirm(admin_client, "rotate", keys)

    assert "is revoked: it cannot be rotated. Nothing was changed." in said(answer)
    assert states(keys) == ["active", "revoked"]


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
@pytest.mark.parametrize("ids", [[], ["1"], [str(uuid4())]])
def test_ids_that_are_none_change_nothing(admin_client: Client, verb: str, ids: list[str]) -> None:
    held = key()

    answer = confirm(admin_client, verb, [], key=[*ids, *([str(held.pk)] if ids else [])])

    assert said(answer)
    assert states([held]) == ["active"]


def test_another_overlap_asks_again_with_the_same_keys(admin_client: Client) -> None:
    keys = [key(), key()]

    answer = confirm(admin_client, "rotate", keys, overlap="forever")

    assert set(listed(answer)) == {str(each.pk) for each in keys}
    assert answer.context["form"].errors
    assert states(keys) == ["active", "active"]


def test_more_than_five_hundred_at_once_are_refused(admin_client: Client) -> None:
    ApiKey.objects.bulk_create(
        ApiKey(name="k", hint="…", digest=f"{number:064}")
        for number in range(key_edits.MOST_KEYS + 1)
    )
    one = ApiKey.objects.all()[:1]

    answer = ask(admin_client, "revoke", list(one), select_across="1")
    shown = admin_client.get(KEYS)

    assert answer.status_code == 302
    assert "at most 500 keys" in said(shown)
    assert not ApiKey.objects.exclude(revoked=None).exists()


def test_looking_at_the_addresses_leads_to_the_list(admin_client: Client) -> None:
    held = key()

    for verb in ("rotate", "revoke"):
        answer = admin_client.get(f"{KEYS}{verb}-selected/", {"key": str(held.pk)}, follow=True)
        assert "Choose the keys" in said(answer)
    assert states([held]) == ["active"]


@pytest.mark.parametrize(
    ("permissions", "offered"),
    [
        (["view_apikey"], []),
        (["view_apikey", "change_apikey"], ["revoke"]),
        (["view_apikey", "add_apikey"], []),
        (["view_apikey", "add_apikey", "change_apikey"], ["rotate", "revoke"]),
    ],
)
def test_only_who_may_is_offered_the_actions_and_obeyed(
    permissions: list[str], offered: list[str]
) -> None:
    held, client = key(), client_with(*permissions)
    shown = text(client.get(KEYS))

    for verb in ("rotate", "revoke"):
        assert (f'value="{verb}_selected"' in shown) == (verb in offered)
        if verb not in offered:
            assert confirm(client, verb, [held]).status_code == 403
            ask(client, verb, [held])
    assert states([held]) == ["active"]


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_a_forged_confirmation_is_refused(admin_user: Any, verb: str) -> None:
    held, client = key(), Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    assert confirm(client, verb, [held]).status_code == 403
    assert states([held]) == ["active"]


def test_a_name_that_is_a_formula_or_markup_stays_text(admin_client: Client) -> None:
    keys = [key(name='=cmd|" /C calc"!A0'), key(name="</script><script>alert(1)</script>")]

    answer = confirm(admin_client, "rotate", keys)

    assert [row[0] for row in csv_on(answer)[1:]] == [f"'{keys[0].name}", keys[1].name]
    assert "<script>alert(1)" not in text(answer)
