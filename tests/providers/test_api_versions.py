"""Who changes something over the management API may say which state of it he knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from providers.models import Alias, ApiKey, Provider
from tests.providers.admin_pages import probed, provider
from tests.providers.api_client import (
    ALIASES,
    KEYS,
    MASTER,
    PROVIDERS,
    SCHEMA,
    Api,
    master_key,
    refusal,
)
from tests.providers.beside import after_statement, begun_after

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    master_key()
    return Api(MASTER)


def make_provider() -> tuple[str, Callable[[], Any]]:
    row = provider("gpu", key="the-key-of-the-server")
    return f"{PROVIDERS}/gpu", lambda: Provider.objects.filter(pk=row.pk).update(weight=7)


def make_alias() -> tuple[str, Callable[[], Any]]:
    row = Alias.objects.create(name="org/chat")
    row.targets.create(model="m")
    return f"{ALIASES}/org/chat", lambda: row.targets.update(weight=7)


def make_key() -> tuple[str, Callable[[], Any]]:
    row, _ = ApiKey.objects.issue("n")
    return f"{KEYS}/{row.pk}", lambda: ApiKey.objects.filter(pk=row.pk).update(name="other")


KINDS = [make_provider, make_alias, make_key]
A_CHANGE: dict[Any, dict[str, Any]] = {
    make_provider: {"idle_seconds": 9},
    make_alias: {"policy": "random"},
    make_key: {"name": "mine"},
}


@pytest.mark.parametrize("make", KINDS)
def test_a_change_is_made_to_what_its_client_knows(make: Any, api: Api) -> None:
    path, _ = make()
    tag = api.get(path)["ETag"]
    assert tag.startswith('"')

    answer = api.patch(path, A_CHANGE[make], if_match=tag)

    assert answer.status_code == 200
    assert answer["ETag"] != tag
    assert answer["ETag"] == api.get(path)["ETag"]
    assert api.patch(path, A_CHANGE[make], if_match=answer["ETag"]).status_code == 200


@pytest.mark.parametrize("make", KINDS)
def test_a_change_to_what_somebody_else_changed_is_412(make: Any, api: Api) -> None:
    path, change = make()
    tag = api.get(path)["ETag"]
    change()

    answer = api.patch(path, A_CHANGE[make], if_match=tag)

    error = refusal(answer)
    assert (answer.status_code, error["code"]) == (412, "precondition_failed")
    assert "read it again" in error["message"]
    [[name, value]] = A_CHANGE[make].items()
    assert api.get(path).json()[name] != value


ROUTES = [
    (make_provider, "DELETE", "", None),
    (make_provider, "POST", "/refresh", None),
    (make_provider, "POST", "/test", None),
    (make_provider, "POST", "/clone", {}),
    (make_provider, "POST", "/follow", None),
    (make_alias, "DELETE", "", None),
    (make_alias, "PUT", "", {"name": "org/chat", "targets": [{"model": "n"}]}),
    (make_key, "POST", "/rotate", {"overlap_seconds": 9}),
    (make_key, "POST", "/revoke", None),
]


@pytest.mark.parametrize(("make", "method", "action", "body"), ROUTES)
def test_every_route_of_a_row_heeds_it(
    make: Any, method: str, action: str, body: Any, api: Api
) -> None:
    path, change = make()
    tag = api.get(path)["ETag"]
    change()

    assert api.call(method, path + action, body, if_match=tag).status_code == 412
    assert api.get(path).status_code == 200
    now = api.get(path)["ETag"]
    assert api.call(method, path + action, body, if_match=now).status_code < 300


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("*", 200),
        ("{}", 200),
        ('"another", {}', 200),
        ("{}, \"another\"", 200),
        ("W/{}", 412),
        ('"another"', 412),
        ("nothing quoted", 412),
        ("", 412),
        ('""', 412),
        (",", 412),
    ],
)  # fmt: skip
def test_tags_are_read_as_http_says(sent: str, status: int, api: Api) -> None:
    path, _ = make_provider()
    tag = api.get(path)["ETag"]

    answer = api.patch(path, {"weight": 3}, if_match=sent.replace("{}", tag))

    assert answer.status_code == status


def test_what_is_not_there_is_404_whatever_is_sent(api: Api) -> None:
    for tag in ("*", '"a"'):
        assert api.patch(f"{PROVIDERS}/gone", {}, if_match=tag).status_code == 404


def test_a_probe_comes_between_no_look_and_its_change(api: Api) -> None:
    path, _ = make_provider()
    before = api.get(path)
    probed(Provider.objects.get(), running=3)

    assert api.get(path, if_none_match=before["ETag"]).json()["health"]["running"] == 3
    assert api.patch(path, {"weight": 3}, if_match=before["ETag"]).status_code == 200


def test_a_new_secret_is_another_version(api: Api) -> None:
    path, _ = make_provider()
    tag = api.get(path)["ETag"]
    api.patch(path, {"api_key": "the-key-of-somebody-else"})

    assert api.patch(path, {"weight": 3}, if_match=tag).status_code == 412


def test_the_answer_that_a_client_has_is_not_sent_again(api: Api) -> None:
    path, change = make_alias()
    tag = api.get(path)["ETag"]

    for sent in (tag, f"W/{tag}", f'"a", {tag}', "*"):
        answer = api.get(path, if_none_match=sent)
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
    change()
    assert api.get(path, if_none_match=tag).status_code == 200


def test_a_change_may_ask_that_nothing_is_there(api: Api) -> None:
    path, _ = make_alias()
    body = {"name": "org/chat", "targets": [{"model": "n"}]}

    assert api.put(path, body, if_none_match="*").status_code == 412


def test_routes_of_many_rows_have_no_tag(api: Api) -> None:
    path, _ = make_key()
    body = {"ids": [path.rpartition("/")[2]]}

    assert api.post(f"{KEYS}/revoke", body, if_match='"a"').status_code == 412
    assert ApiKey.objects.usable().count() == 2
    assert api.post(f"{KEYS}/revoke", body, if_match="*").status_code == 200


def test_the_schema_tells_of_it(api: Api) -> None:
    described = api.get(SCHEMA).json()["paths"]["/api/providers/{name}"]

    assert "If-Match" in [each["name"] for each in described["patch"]["parameters"]]
    assert "If-None-Match" in [each["name"] for each in described["get"]["parameters"]]
    assert "412" in described["patch"]["responses"]
    assert "ETag" in described["get"]["responses"]["200"]["headers"]


@pytest.mark.django_db(transaction=True)
def test_one_of_two_who_know_the_same_state_is_refused(api: Api) -> None:
    path, change = make_provider()
    tag = api.get(path)["ETag"]

    with after_statement(1, change):  # while the key is looked up
        assert api.patch(path, {"weight": 3}, if_match=tag).status_code == 412
    assert Provider.objects.get().weight == 7

    tag = api.get(path)["ETag"]
    with begun_after(1, change):  # once the row is locked
        assert api.patch(path, {"weight": 3}, if_match=tag).status_code == 200
    assert Provider.objects.get().weight == 7


def test_a_renamed_row_is_answered_though_it_is_renamed_again(api: Api) -> None:
    make_provider()
    answer = api.patch(f"{PROVIDERS}/gpu", {"name": "gpu-2"})

    assert answer.json()["name"] == "gpu-2"
