"""Keys over the management API: a secret is in the one answer that made it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.db.models.signals import pre_save
from django.test import Client
from django.utils import timezone

from providers import revision
from providers.admin.history import actor
from providers.models import ApiKey
from tests.providers.admin_pages import HISTORY, text
from tests.providers.api_client import KEYS, MASTER, Api, master_key, refusal

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
MEMBERS = {
    "id", "name", "kind", "hint", "state", "expires", "created", "last_used", "source", "unnamed", "successor", "issued_by",
}  # fmt: skip


@pytest.fixture
def api() -> Api:
    master_key()
    return Api(MASTER)


def issued(api: Api, **fields: Any) -> Any:
    answer = api.post(KEYS, {"name": "Chat UI", **fields})
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_a_key_is_issued_with_its_secret_and_works(api: Api) -> None:
    before = revision.current()

    key = issued(api, kind="manager")

    assert set(key) == MEMBERS | {"secret"}
    assert (key["name"], key["kind"], key["state"], key["source"], key["expires"]) == (
        "Chat UI",
        "manager",
        "active",
        "admin",
        None,
    )
    assert key["secret"].endswith(key["hint"][1:])
    assert Api(key["secret"]).get(KEYS).status_code == 200
    assert revision.current() > before


def test_the_secret_and_digest_are_in_no_other_answer_and_not_in_the_history(api: Api) -> None:
    key = issued(api)
    rotated = api.post(f"{KEYS}/{key['id']}/rotate", {"overlap_seconds": 60}).json()

    shown = "".join(
        text(answer)
        for answer in (
            api.get(KEYS),
            api.get(f"{KEYS}/{key['id']}"),
            api.patch(f"{KEYS}/{key['id']}", {"name": "New"}),
            api.post(f"{KEYS}/{rotated['id']}/revoke"),
            api.post(f"{KEYS}/{rotated['id']}/rotate", {"overlap_seconds": 60}),
        )
    ) + json.dumps([str(vars(entry)) for entry in LogEntry.objects.all()])

    held = ApiKey.objects.all()
    assert [k.digest for k in held if k.digest in shown] == []
    assert [s for s in (MASTER, key["secret"], rotated["secret"]) if s in shown] == []
    assert LogEntry.objects.count() >= 4


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"name": ""},
        {"name": None},
        {"name": "x" * 81},
        {"name": "a\0b"},
        {"name": "a", "expires": "2020-01-01T00:00:00Z"},
        {"name": "a", "expires": "tomorrow"},
        {"name": "a", "expires": "9999-12-31T23:59:59-23:00"},
        {"name": "a", "secret": "chosen-by-the-caller"},
        {"name": "a", "kind": "owner"},
        {"name": "a", "kind": None},
        {"name": "a", "issued_by": None},
        {"name": "a", "digest": "0" * 64},
        {"name": "a", "expire": None},
    ],
)
def test_a_wrong_key_is_not_issued(api: Api, sent: Any) -> None:
    answer = api.post(KEYS, sent)

    assert answer.status_code == 400
    assert refusal(answer)["param"] in {*sent, "name"}
    assert "chosen-by" not in text(answer)
    assert ApiKey.objects.count() == 1


def test_name_and_expiry_change_while_the_key_is_usable(api: Api) -> None:
    key = issued(api)
    moment = timezone.now() + DAY

    answer = api.patch(f"{KEYS}/{key['id']}", {"name": "New", "expires": moment.isoformat()})

    assert answer.status_code == 200
    assert datetime.fromisoformat(answer.json()["expires"]) == moment
    assert api.patch(f"{KEYS}/{key['id']}", {"expires": None}).json()["expires"] is None
    assert ApiKey.objects.get(pk=key["id"]).name == "New"


@pytest.mark.parametrize(
    "sent", [{"revoked": None}, {"state": "active"}, {"expires": "1999-01-01"}]
)
def test_nothing_else_of_a_key_changes(api: Api, sent: Any) -> None:
    key = issued(api)

    answer = api.patch(f"{KEYS}/{key['id']}", sent)

    assert answer.status_code == 400
    assert refusal(answer)["param"] in sent


@pytest.mark.parametrize("overlap", [0, 3600, 31_536_000])
def test_a_rotated_key_goes_on_for_its_overlap(api: Api, overlap: int) -> None:
    key = issued(api, kind="master")

    answer = api.post(f"{KEYS}/{key['id']}/rotate", {"overlap_seconds": overlap})

    successor = answer.json()
    old = api.get(f"{KEYS}/{key['id']}").json()
    assert answer.status_code == 201
    assert "no-store" in answer["Cache-Control"]
    assert old["successor"] == successor["id"]
    assert old["state"] == ("rotated" if overlap else "expired")
    left = datetime.fromisoformat(old["expires"]) - timezone.now()
    assert abs(left - timedelta(seconds=overlap)) < timedelta(seconds=30)
    assert Api(key["secret"]).get(KEYS).status_code == (200 if overlap else 401)
    assert Api(successor["secret"]).get(KEYS).status_code == 200


def test_a_successor_lives_as_long_as_its_predecessor_unless_told_otherwise(api: Api) -> None:
    until = (timezone.now() + 90 * DAY).isoformat()
    said = (timezone.now() + 7 * DAY).isoformat()
    asked: list[dict[str, Any]] = [{}, {"expires": None}, {"expires": said}]

    made = [
        api.post(
            f"{KEYS}/{issued(api, expires=until)['id']}/rotate", {"overlap_seconds": 60, **each}
        ).json()["expires"]
        for each in asked
    ]

    assert abs(datetime.fromisoformat(made[0]) - timezone.now() - 90 * DAY) < timedelta(minutes=1)
    assert made[1] is None
    assert datetime.fromisoformat(made[2]) == datetime.fromisoformat(said)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"overlap_seconds": -1},
        {"overlap_seconds": 1, "expires": "2020-01-01T00:00:00Z"},
        {"overlap_seconds": 1, "expires": ""},
        {"overlap_seconds": 31_536_001},
        {"overlap_seconds": None},
        {"overlap_seconds": True},
        {"overlap_seconds": "soon"},
        {"overlap_seconds": 10**30},
        {"overlap_seconds": 1, "name": "other"},
    ],
)
def test_another_overlap_is_refused(api: Api, sent: Any) -> None:
    key = issued(api)

    answer = api.post(f"{KEYS}/{key['id']}/rotate", sent)

    assert answer.status_code == 400
    assert refusal(answer)["param"] in {"overlap_seconds", "name", "expires"}
    assert ApiKey.objects.count() == 2


def test_a_revoked_key_stays_revoked(api: Api) -> None:
    key = issued(api)

    answer = api.post(f"{KEYS}/{key['id']}/revoke")

    first = ApiKey.objects.get(pk=key["id"]).revoked
    assert answer.json()["state"] == "revoked"
    assert Api(key["secret"]).get(KEYS).status_code == 401
    assert api.post(f"{KEYS}/{key['id']}/revoke").json()["state"] == "revoked"
    assert ApiKey.objects.get(pk=key["id"]).revoked == first


def test_what_is_over_can_be_neither_changed_nor_rotated(api: Api) -> None:
    path = f"{KEYS}/{issued(api)['id']}"
    api.post(f"{path}/revoke")

    for answer in (
        api.patch(path, {"name": "b"}),
        api.post(f"{path}/rotate", {"overlap_seconds": 1}),
    ):
        assert answer.status_code == 409
        assert "This key is revoked" in refusal(answer)["message"]


def test_a_key_is_not_rotated_twice(api: Api) -> None:
    path = f"{KEYS}/{issued(api)['id']}/rotate"
    api.post(path, {"overlap_seconds": 60})

    again = api.post(path, {"overlap_seconds": 60})

    assert again.status_code == 409
    assert ApiKey.objects.count() == 3


def test_many_keys_are_rotated_in_one_call_each_with_its_secret(api: Api) -> None:
    until = (timezone.now() + 90 * DAY).isoformat()
    named: list[dict[str, Any]] = [{"name": "a"}, {"name": "b", "expires": until}, {"name": "c"}]
    keys = [issued(api, kind="manager", **each) for each in named]
    ids = [key["id"] for key in keys]

    answer = api.post(f"{KEYS}/rotate", {"ids": ids, "overlap_seconds": 0})

    made = answer.json()
    assert answer.status_code == 201
    assert [key["name"] for key in made] == ["a", "b", "c"]
    assert [key["expires"] is None for key in made] == [True, False, True]
    assert [api.get(f"{KEYS}/{id}").json()["successor"] for id in ids] == [k["id"] for k in made]
    assert {Api(key["secret"]).get(KEYS).status_code for key in made} == {200}
    assert {Api(key["secret"]).get(KEYS).status_code for key in keys} == {401}


def test_many_keys_are_revoked_in_one_call(api: Api) -> None:
    ids = [issued(api)["id"] for _ in range(3)]
    api.post(f"{KEYS}/{ids[0]}/revoke")

    answer = api.post(f"{KEYS}/revoke", {"ids": ids})

    assert answer.status_code == 200
    assert [(key["id"], key["state"]) for key in answer.json()] == [(id, "revoked") for id in ids]


def test_where_one_of_many_cannot_be_rotated_none_is(api: Api) -> None:
    ids = [issued(api)["id"] for _ in range(3)]
    api.post(f"{KEYS}/{ids[1]}/revoke")
    before = ApiKey.objects.count()

    answer = api.post(f"{KEYS}/rotate", {"ids": ids, "overlap_seconds": 60})

    assert answer.status_code == 409
    assert "is revoked: it cannot be rotated. Nothing was changed." in refusal(answer)["message"]
    assert ApiKey.objects.count() == before


@pytest.mark.parametrize("view", ["rotate", "revoke"])
@pytest.mark.parametrize(
    ("ids", "status"),
    [
        ([], 400),
        ("all", 400),
        (["1"], 400),
        (["11111111-1111-4111-8111-111111111111"] * 2, 400),
        ([f"11111111-1111-4111-8111-{number:012}" for number in range(501)], 400),
        (["11111111-1111-4111-8111-111111111111"], 404),
    ],
)
def test_a_wrong_list_of_keys_changes_nothing(api: Api, view: str, ids: Any, status: int) -> None:
    held = issued(api)["id"]
    overlap = {"overlap_seconds": 60} if view == "rotate" else {}
    sent = [held, *ids] if status == 404 else ids

    answer = api.post(f"{KEYS}/{view}", {"ids": sent, **overlap})

    assert answer.status_code == status
    assert api.get(f"{KEYS}/{held}").json()["state"] == "active"


def test_the_history_names_the_key_that_acted_even_beside_a_session(admin_client: Client) -> None:
    held = master_key()

    issued(Api(MASTER, admin_client))

    entry = LogEntry.objects.get_for_objects(ApiKey.objects.exclude(pk=held.pk)).get()
    assert entry.actor is None
    assert entry.additional_data == {"by": f"API key Terraform ({held.hint})"}
    assert actor(entry) == f"API key Terraform ({held.hint})"
    assert f"API key Terraform ({held.hint})" in text(admin_client.get(HISTORY))


def test_the_history_names_the_sessions_user(admin_client: Client, admin_user: Any) -> None:
    issued(Api(client=admin_client))

    assert LogEntry.objects.get_for_model(ApiKey).get().actor == admin_user


def test_recording_leaves_nothing_connected_behind(api: Api) -> None:
    issued(api)
    before = len(pre_save.receivers)

    for _ in range(3):
        issued(api)

    assert len(pre_save.receivers) == before
