"""Keys act on keys over the management API: no more than each kind may, and never on themselves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from providers import key_edits, key_rights
from providers.catalog import load
from providers.models import ApiKey
from tests.providers.admin_pages import client_with
from tests.providers.api_client import ALIASES, KEYS, PROVIDERS, SCHEMA, Api, refusal

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
HOUR = {"overlap_seconds": 3600}


def made(kind: str, **fields: Any) -> tuple[ApiKey, Api]:
    """A key of this kind, and a caller that has it."""
    key, secret = ApiKey.objects.issue(f"a {kind} key", kind=kind, **fields)
    return key, Api(secret)


def path(key: ApiKey, verb: str = "") -> str:
    return f"{KEYS}/{key.pk}/{verb}".rstrip("/")


def refused(answer: Any, text: str) -> bool:
    error = refusal(answer)
    assert (answer.status_code, error["type"], error["code"]) == (
        403,
        "permission_error",
        "not_permitted",
    )
    return text in error["message"]


@pytest.mark.parametrize("where", [PROVIDERS, ALIASES, KEYS, SCHEMA])
def test_a_client_key_does_nothing_here_and_is_told_which_does(where: str) -> None:
    _, client = made("client")

    assert refused(client.get(where), "needs a manager or master key")


def test_a_client_key_changes_nothing() -> None:
    key, client = made("client")
    other, _ = made("client")

    for answer in (
        client.post(KEYS, {"name": "spare"}),
        client.patch(path(key), {"expires": None}),
        client.post(path(other, "rotate"), HOUR),
        client.post(path(other, "revoke")),
        client.post(f"{KEYS}/revoke", {"ids": [str(other.pk)]}),
        client.post(PROVIDERS, {"name": "new", "base_url": "http://gpu-2:8000"}),
    ):
        assert refused(answer, "needs a manager or master key")
    assert {each.state for each in ApiKey.objects.all()} == {"active"}


def test_a_key_for_this_api_suffices_beside_a_client_key() -> None:
    _, client = made("client")
    _, secret = ApiKey.objects.issue("manager", kind="manager")

    assert client.get(KEYS, x_api_key=secret).status_code == 200


def test_a_new_key_is_a_client_key_unless_it_says_otherwise() -> None:
    _, master = made("master")

    kinds = [
        master.post(KEYS, {"name": "new", **each}).json()["kind"]
        for each in ({}, {"kind": "client"}, {"kind": "manager"}, {"kind": "master"})
    ]

    assert kinds == ["client", "client", "manager", "master"]


def test_calls_know_the_kind() -> None:
    keys = {kind: made(kind)[0] for kind in ("client", "manager", "master")}

    entries = load().keys

    assert {kind: entries[key.digest].may_call for kind, key in keys.items()} == {
        "client": True,
        "manager": False,
        "master": True,
    }
    assert [kind for kind, key in keys.items() if entries[key.digest].is_master] == ["master"]


def test_the_list_is_filtered_by_kind() -> None:
    _, master = made("master")
    client, _ = made("client")

    listed = master.get(f"{KEYS}?kind=client").json()

    assert [row["id"] for row in listed["results"]] == [str(client.pk)]
    assert refusal(master.get(f"{KEYS}?kind=owner"))["param"] == "kind"


def test_a_manager_key_edits_client_and_manager_keys() -> None:
    _, manager = made("manager")

    for kind in ("client", "manager"):
        issued = manager.post(KEYS, {"name": "new", "kind": kind}).json()
        address = f"{KEYS}/{issued['id']}"
        assert manager.patch(address, {"name": "newer"}).json()["name"] == "newer"
        assert manager.post(f"{address}/rotate", HOUR).status_code == 201
        assert manager.post(f"{address}/revoke").json()["state"] == "revoked"


def test_a_manager_key_touches_no_master_key() -> None:
    _, manager = made("manager")
    master, _ = made("master")
    client, _ = made("client")
    ids = {"ids": [str(client.pk), str(master.pk)]}

    for answer in (
        manager.post(KEYS, {"name": "new", "kind": "master"}),
        manager.patch(path(master), {"name": "taken"}),
        manager.patch(path(master), {"kind": "client"}),
        manager.patch(path(client), {"kind": "master"}),
        manager.post(path(master, "rotate"), HOUR),
        manager.post(path(master, "revoke")),
        manager.post(f"{KEYS}/rotate", {**ids, **HOUR}),
        manager.post(f"{KEYS}/revoke", ids),
    ):
        assert refused(answer, "master key")
    assert ApiKey.objects.count() == 3
    assert {each.state for each in ApiKey.objects.all()} == {"active"}


@pytest.mark.parametrize("kind", ["manager", "master"])
def test_no_key_changes_or_rotates_itself(kind: str) -> None:
    key, api = made(kind, expires=timezone.now() + DAY)
    made("master")
    before = ApiKey.objects.get(pk=key.pk)

    for answer in (
        api.patch(path(key), {"expires": None}),
        api.patch(path(key), {"name": "other"}),
        api.patch(path(key), {"kind": kind}),
        api.post(path(key, "rotate"), HOUR),
        api.post(f"{KEYS}/rotate", {"ids": [str(key.pk)], **HOUR}),
    ):
        assert refused(answer, "itself")
    after = ApiKey.objects.get(pk=key.pk)
    assert (after.name, after.expires, after.successor) == (before.name, before.expires, None)


@pytest.mark.parametrize("kind", ["manager", "master"])
def test_no_key_makes_a_spare_that_outlives_it(kind: str) -> None:
    until = timezone.now() + DAY
    _, api = made(kind, expires=until)
    other, _ = made("manager", expires=until - timedelta(hours=1))

    later = (until + DAY).isoformat()
    for answer in (
        api.post(KEYS, {"name": "spare", "kind": "manager"}),
        api.post(KEYS, {"name": "spare", "kind": "manager", "expires": later}),
        api.patch(path(other), {"expires": None}),
        api.patch(path(other), {"expires": later}),
        api.post(path(other, "rotate"), {**HOUR, "expires": None}),
    ):
        assert refused(answer, "set an earlier `expires`")
    ends = (until - timedelta(hours=2)).isoformat()
    assert api.post(KEYS, {"name": "a", "kind": "manager", "expires": ends}).status_code == 201
    assert api.post(path(other, "rotate"), {**HOUR, "expires": ends}).status_code == 201
    assert api.post(KEYS, {"name": "an application's"}).status_code == 201


@pytest.mark.parametrize(("kind", "keeps"), [("manager", False), ("master", True)])
def test_a_rotation_says_whether_what_was_stored_stays(kind: str, keeps: bool) -> None:
    one, two = made("client")[0], made("client")[0]
    _, api = made(kind)

    first = api.post(path(one, "rotate"), HOUR).json()
    [second] = api.post(f"{KEYS}/rotate", {"ids": [str(two.pk)], **HOUR}).json()

    for old, new in ((one, first), (two, second)):
        assert new["keeps_stored_responses"] is keeps
        assert (ApiKey.objects.get(pk=new["id"]).owner == old.owner) is keeps


@pytest.mark.parametrize("kind", ["manager", "master"])
def test_the_last_key_that_manages_is_revoked_by_a_person_alone(kind: str) -> None:
    key, api = made(kind)
    made("client")

    for answer in (
        api.post(path(key, "revoke")),
        api.post(f"{KEYS}/revoke", {"ids": [str(key.pk)]}),
    ):
        assert refused(answer, "Only a person can revoke the last one")
    assert ApiKey.objects.get(pk=key.pk).state == "active"
    person = Api(client=client_with("change_apikey"))
    assert person.post(path(key, "revoke")).json()["state"] == "revoked"


def test_a_key_that_is_not_the_last_may_end_itself() -> None:
    key, api = made("manager")
    made("master")

    assert api.post(path(key, "revoke")).json()["state"] == "revoked"
    assert api.get(KEYS).status_code == 401


def test_the_keys_that_a_key_made_for_managing_end_with_it() -> None:
    _, master = made("master")
    thief_key, thief = made("manager")
    spare = thief.post(KEYS, {"name": "spare", "kind": "manager"}).json()
    spare_of_spare = Api(spare["secret"]).post(KEYS, {"name": "2nd", "kind": "manager"}).json()
    application = thief.post(KEYS, {"name": "an application's"}).json()
    other, _ = made("manager")
    taken = thief.post(path(other, "rotate"), {"overlap_seconds": 0}).json()
    assert spare["issued_by"] == str(thief_key.pk)

    assert master.post(path(thief_key, "revoke")).status_code == 200

    for each in (spare, spare_of_spare, taken):
        assert Api(each["secret"]).get(KEYS).status_code == 401
    assert master.get(f"{KEYS}/{application['id']}").json()["state"] == "active"


def test_a_key_that_another_lets_manage_ends_with_that_one() -> None:
    _, master = made("master")
    thief_key, thief = made("manager")
    known, application = made("client")
    assert thief.patch(path(known), {"kind": "manager"}).json()["issued_by"] == str(thief_key.pk)

    master.post(path(thief_key, "revoke"))

    assert application.get(KEYS).status_code == 401


def test_a_key_may_not_end_itself_where_those_that_it_made_are_all_the_others() -> None:
    key, api = made("manager")
    api.post(KEYS, {"name": "spare", "kind": "manager"})

    assert refused(api.post(path(key, "revoke")), "Only a person can revoke the last one")
    assert ApiKey.objects.in_state("active").count() == 2


def test_a_person_gives_a_key_another_kind_as_far_as_he_may() -> None:
    key, _ = made("master")
    client, _ = made("client")
    lesser = Api(client=client_with("change_apikey", "add_apikey", "issue_manager_apikey"))

    assert refused(lesser.patch(path(key), {"kind": "client"}), "permission")
    assert refused(lesser.patch(path(client), {"kind": "master"}), "permission")
    assert refused(lesser.post(KEYS, {"name": "new", "kind": "master"}), "permission")
    assert refused(lesser.post(path(key, "rotate"), HOUR), "permission")
    assert lesser.patch(path(client), {"kind": "manager"}).json()["kind"] == "manager"
    User.objects.all().delete()
    greater = Api(client=client_with("change_apikey", "issue_master_apikey"))
    assert greater.patch(path(key), {"kind": "client"}).json()["kind"] == "client"


def test_a_person_hands_on_what_was_stored_only_with_the_permission_for_it() -> None:
    keys = [made("client")[0], made("client")[0]]
    permissions = ("change_apikey", "add_apikey")

    told = []
    for key, more in zip(keys, ((), ("take_over_stored_apikey",)), strict=True):
        person = Api(client=client_with(*permissions, *more))
        told.append(person.post(path(key, "rotate"), HOUR).json()["keeps_stored_responses"])
        User.objects.all().delete()

    assert told == [False, True]


def test_what_a_key_asks_for_is_not_done_once_it_was_revoked_meanwhile() -> None:
    """Between the moment at which it was known and its change, as another request may come."""
    key, _ = made("manager")
    rights = key_rights.of_key(key.pk, key.kind, key.expires)
    key.revoke()

    with pytest.raises(key_rights.NotAllowed, match="revoked or changed meanwhile"):
        key_edits.issue(rights, "spare", kind="client")


def test_an_expiry_is_that_of_the_row_and_not_of_the_request() -> None:
    key, _ = made("manager")
    rights = key_rights.of_key(key.pk, key.kind, key.expires)
    ApiKey.objects.filter(pk=key.pk).update(expires=timezone.now() + DAY)

    with pytest.raises(key_rights.NotAllowed, match="set an earlier"):
        key_edits.issue(rights, "spare", kind="manager", expires=None)
    assert isinstance(ApiKey.objects.get().expires, datetime)
