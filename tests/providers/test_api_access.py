"""Who may use the management API, and how everybody else is refused: always in one shape."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models.signals import pre_save
from django.test import Client
from django.utils import timezone

from providers.models import Alias, ApiKey, Provider
from tests.providers.admin_pages import client_with, provider
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

pytestmark = pytest.mark.django_db
NOBODY = UUID("22222222-2222-4222-8222-222222222222")
KEY_ID = UUID("11111111-1111-4111-8111-111111111111")
ROUTES = [
    ("GET", PROVIDERS, "view_provider"),
    ("POST", PROVIDERS, "add_provider"),
    ("GET", f"{PROVIDERS}/gpu-1.lab", "view_provider"),
    ("PATCH", f"{PROVIDERS}/gpu-1.lab", "change_provider"),
    ("DELETE", f"{PROVIDERS}/gpu-1.lab", "delete_provider"),
    ("GET", f"{PROVIDERS}/gpu-1.lab/consequences", "view_provider"),
    ("POST", f"{PROVIDERS}/gpu-1.lab/refresh", "change_provider"),
    ("POST", f"{PROVIDERS}/gpu-1.lab/test", "change_provider"),
    ("POST", f"{PROVIDERS}/gpu-1.lab/follow", "change_provider"),
    ("POST", f"{PROVIDERS}/gpu-1.lab/clone", "add_provider change_provider"),
    ("GET", KEYS, "view_apikey"),
    ("POST", KEYS, "add_apikey"),
    ("GET", f"{KEYS}/{KEY_ID}", "view_apikey"),
    ("PATCH", f"{KEYS}/{KEY_ID}", "change_apikey"),
    ("POST", f"{KEYS}/{KEY_ID}/rotate", "change_apikey add_apikey"),
    ("POST", f"{KEYS}/{KEY_ID}/revoke", "change_apikey"),
    ("POST", f"{KEYS}/rotate", "change_apikey add_apikey"),
    ("POST", f"{KEYS}/revoke", "change_apikey"),
    ("GET", ALIASES, "view_alias"),
    ("POST", ALIASES, "add_alias"),
    ("GET", f"{ALIASES}/org/chat", "view_alias"),
    ("PUT", f"{ALIASES}/org/chat", "change_alias"),
    ("PATCH", f"{ALIASES}/org/chat", "change_alias"),
    ("DELETE", f"{ALIASES}/org/chat", "delete_alias"),
    ("GET", SCHEMA, ""),
]
PERMISSIONS = {name for _, _, names in ROUTES for name in names.split()}
FINE = {
    ("POST", PROVIDERS): {"name": "new", "base_url": "http://gpu-2:8000"},
    ("PATCH", f"{PROVIDERS}/gpu-1.lab"): {"enabled": False},
    ("POST", ALIASES): {"name": "new", "targets": [{"model": "m"}]},
    ("PUT", f"{ALIASES}/org/chat"): {"name": "new", "targets": [{"model": "m"}]},
    ("PATCH", f"{ALIASES}/org/chat"): {"resumes": True},
    ("POST", KEYS): {"name": "new"},
    ("PATCH", f"{KEYS}/{KEY_ID}"): {"name": "new"},
    ("POST", f"{KEYS}/{KEY_ID}/rotate"): {"overlap_seconds": 0},
    ("POST", f"{KEYS}/rotate"): {"ids": [str(KEY_ID)], "overlap_seconds": 0},
    ("POST", f"{KEYS}/revoke"): {"ids": [str(KEY_ID)]},
}


def done(method: str, path: str) -> int:
    """The status that says that it was done."""
    creates = method == "POST" and (
        path in {PROVIDERS, KEYS, ALIASES} or path.endswith(("/rotate", "/clone"))
    )
    return 201 if creates else 204 if method == "DELETE" else 200


@pytest.fixture(autouse=True)
def rows() -> None:
    provider("gpu-1.lab", base_url="http://127.0.0.1:1/v1")
    master_key("aurora-the-key-of-another-0123456789", id=KEY_ID, kind="client")
    Alias.objects.create(name="org/chat").targets.create(model="m")


@pytest.fixture
def api() -> Api:
    master_key()
    return Api(MASTER)


@pytest.mark.parametrize(("method", "path", "_"), ROUTES)
def test_a_master_key_may_do_everything(api: Api, method: str, path: str, _: str) -> None:
    answer = api.call(method, path, FINE.get((method, path)))

    assert answer.status_code == done(method, path)
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(("method", "path", "_"), ROUTES)
def test_without_a_key_every_route_is_refused(method: str, path: str, _: str) -> None:
    answer = Api().call(method, path, FINE.get((method, path)))

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="aurora"'
    assert refusal(answer)["type"] == "authentication_error"


@pytest.mark.parametrize(("method", "path", "needed"), ROUTES)
def test_staff_may_do_what_django_permits_and_no_more(method: str, path: str, needed: str) -> None:
    needs = set(needed.split())
    body = FINE.get((method, path))

    if needs:
        lacking = client_with(*(PERMISSIONS - {needs.pop()}))
        refused = Api(client=lacking).call(method, path, body)
        assert refused.status_code == 403
        assert refusal(refused)["type"] == "permission_error"
        User.objects.all().delete()
    answer = Api(client=client_with(*needed.split())).call(method, path, body)
    assert answer.status_code == done(method, path)


@pytest.mark.parametrize(("method", "path", "_"), ROUTES)
def test_a_user_who_is_no_staff_is_refused(method: str, path: str, _: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("guest", is_staff=True))
    User.objects.update(is_staff=False)

    assert Api(client=client).call(method, path, FINE.get((method, path))).status_code == 403


@pytest.mark.parametrize(("method", "path", "_"), ROUTES)
def test_a_session_needs_its_csrf_token_to_change_anything(
    admin_user: User, method: str, path: str, _: str
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    body = FINE.get((method, path))

    answer = Api(client=client).call(method, path, body)

    if method == "GET":
        assert answer.status_code == 200
        return
    assert answer.status_code == 403
    assert "CSRF" in refusal(answer)["message"]
    token = "a" * 32
    client.cookies[settings.CSRF_COOKIE_NAME] = token
    assert Api(client=client).call(method, path, body, x_csrftoken=token).status_code < 300


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer foreign", "x_api_key": MASTER},
        {"authorization": "Basic foreign", "api_key": MASTER},
        {"authorization": f"Bearer {MASTER}", "x_api_key": "foreign"},
    ],
)
def test_whichever_header_holds_the_key_suffices(db: Any, headers: dict[str, str]) -> None:
    master_key()

    assert Api().get(PROVIDERS, **headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer aurora-unknown"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer " + "x" * 513},
        {"authorization": f"Basic {MASTER}"},
        {"authorization": MASTER},
        {"x_api_key": "aurora-unknown"},
        {"x_api_key": ""},
        {"authorization": "Bearer aurora-unknown", "x_api_key": "aurora-unknown"},
        {"authorization": "Bearer \xff\xfe"},
    ],
)
def test_a_wrong_key_is_refused_even_beside_a_session(
    admin_client: Client, headers: dict[str, str]
) -> None:
    master_key()

    answer = Api(client=admin_client).get(PROVIDERS, **headers)

    assert answer.status_code == 401
    assert refusal(answer)["code"] == "invalid_api_key"


@pytest.mark.parametrize("name", ["expires", "revoked", "retired"])
def test_a_key_that_is_over_is_refused(name: str) -> None:
    past: dict[str, Any] = {name: timezone.now() - timedelta(seconds=1)}
    master_key(**past)

    assert Api(MASTER).get(PROVIDERS).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"bearer  {MASTER} "}, {"x_api_key": MASTER}],
)
def test_a_key_is_understood_as_on_the_data_path(headers: dict[str, str]) -> None:
    master_key()

    assert Api().get(PROVIDERS, **headers).status_code == 200


def test_the_use_of_a_key_is_noted(api: Api) -> None:
    api.get(PROVIDERS)

    used = ApiKey.objects.exclude(pk=KEY_ID).get().last_used
    assert used
    assert timezone.now() - used < timedelta(seconds=30)


REFUSALS: list[tuple[str, str, Any, dict[str, str], int, str]] = [
    ("POST", PROVIDERS, b"{", {}, 400, "invalid_json"),
    ("POST", PROVIDERS, b'{"connect_seconds": NaN}', {}, 400, "invalid_json"),
    ("POST", PROVIDERS, b"\xff", {}, 400, "invalid_json"),
    ("POST", PROVIDERS, b"[" * 100_000, {}, 400, "invalid_json"),
    ("POST", PROVIDERS, b'"' + b"x" * 3_000_000 + b'"', {}, 413, "body_too_large"),
    ("POST", PROVIDERS, [], {}, 400, "invalid_request"),
    ("POST", PROVIDERS, "text", {}, 400, "invalid_request"),
    ("POST", PROVIDERS, None, {}, 400, "invalid_request"),
    ("POST", KEYS, b"a=b", {"content_type": "text/plain"}, 415, "unsupported_media_type"),
    (
        "POST",
        KEYS,
        b"name=a",
        {"content_type": "application/x-www-form-urlencoded"},
        415,
        "unsupported_media_type",
    ),
    ("GET", PROVIDERS, None, {"accept": "text/html"}, 406, "not_acceptable"),
    ("PUT", f"{PROVIDERS}/gpu-1.lab", {}, {}, 405, "method_not_allowed"),
    ("OPTIONS", PROVIDERS, None, {}, 405, "method_not_allowed"),
    ("DELETE", f"{KEYS}/{KEY_ID}", None, {}, 405, "method_not_allowed"),
    ("POST", SCHEMA, {}, {}, 405, "method_not_allowed"),
    ("GET", f"{PROVIDERS}/nobody", None, {}, 404, "not_found"),
    ("PATCH", f"{PROVIDERS}/nobody", {}, {}, 404, "not_found"),
    ("DELETE", f"{PROVIDERS}/nobody", None, {}, 404, "not_found"),
    ("POST", f"{PROVIDERS}/nobody/refresh", None, {}, 404, "not_found"),
    ("POST", f"{PROVIDERS}/nobody/test", None, {}, 404, "not_found"),
    ("POST", f"{PROVIDERS}/nobody/follow", None, {}, 404, "not_found"),
    ("GET", f"{KEYS}/{NOBODY}", None, {}, 404, "not_found"),
    ("PATCH", f"{KEYS}/{NOBODY}", {}, {}, 404, "not_found"),
    ("POST", f"{KEYS}/{NOBODY}/revoke", None, {}, 404, "not_found"),
    ("POST", f"{KEYS}/{NOBODY}/rotate", {"overlap_seconds": 1}, {}, 404, "not_found"),
    ("GET", f"{KEYS}/1", None, {}, 404, "unknown_path"),
    ("GET", f"{PROVIDERS}/a%00b", None, {}, 404, "unknown_path"),
    ("GET", f"{PROVIDERS}/a%0A", None, {}, 404, "unknown_path"),
    ("GET", f"{PROVIDERS}/", None, {}, 404, "unknown_path"),
    ("GET", "/api/", None, {}, 404, "unknown_path"),
    ("GET", "/api", None, {}, 404, "unknown_path"),
    ("POST", "/api/models", {}, {}, 404, "unknown_path"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case[0]} {case[1]} {case[4]}")
def test_every_refusal_has_the_one_shape(
    api: Api, case: tuple[str, str, Any, dict[str, str], int, str]
) -> None:
    method, path, body, headers, status, code = case

    answer = api.call(method, path, body, **headers)

    assert answer.status_code == status
    assert refusal(answer)["code"] == code
    assert ("Allow" in answer) or status != 405


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain", "a/b"])
def test_a_form_of_a_session_is_refused_too(admin_client: Client, kind: str) -> None:
    sent = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\na\r\n--x--\r\n'

    answer = Api(client=admin_client).post(KEYS, sent, content_type=kind)

    assert answer.status_code == 415
    assert refusal(answer)["code"] == "unsupported_media_type"


@pytest.fixture
def rival() -> Any:
    """Takes the name in the moment between the check and the insert."""

    def take(instance: Provider, **_: Any) -> None:
        other = Provider(name=instance.name, base_url="http://rival:8000/v1")
        Provider.objects.bulk_create([other])

    pre_save.connect(take, sender=Provider)
    yield
    pre_save.disconnect(take, sender=Provider)


def test_losing_a_race_for_a_name_is_a_conflict(api: Api, rival: None) -> None:
    answer = api.post(PROVIDERS, {"name": "new", "base_url": "http://gpu-2:8000"})

    assert answer.status_code == 409
    assert refusal(answer)["code"] == "conflict"
    assert not Provider.objects.filter(name="new").exists()


@pytest.mark.parametrize("path", [PROVIDERS, KEYS])
def test_a_list_makes_as_many_queries_for_many_rows_as_for_one(
    api: Api, path: str, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    api.get(path)  # notes the key's use
    with django_assert_max_num_queries(4) as for_one:
        api.get(path)
    for number in range(12):
        provider(f"more-{number}")
        ApiKey.objects.issue("more")[0].rotate(timedelta(days=1))

    with django_assert_max_num_queries(4) as for_many:
        answer = api.get(path)

    assert len(for_many) == len(for_one)
    assert answer.json()["count"] == len(answer.json()["results"]) > 12


def test_lists_come_in_pages_of_at_most_500(api: Api) -> None:
    Provider.objects.bulk_create(
        Provider(name=f"p{number:03}", base_url="http://a:1/v1") for number in range(510)
    )

    assert len(api.get(PROVIDERS).json()["results"]) == 100
    assert len(api.get(f"{PROVIDERS}?limit=9999").json()["results"]) == 500
    page = api.get(f"{PROVIDERS}?limit=2&offset=1").json()
    assert [row["name"] for row in page["results"]] == ["p000", "p001"]
    assert "offset=3" in page["next"]
    far = api.get(f"{PROVIDERS}?offset={10**30}").json()
    assert far["results"] == []


def test_the_schema_is_valid_and_complete(api: Api, capsys: Any) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True)
    capsys.readouterr()

    schema = api.get(SCHEMA)

    described = {
        (method.upper(), path)
        for path, methods in schema.json()["paths"].items()
        for method in methods
    }
    assert described == {(method, _template(path)) for method, path, _ in ROUTES if path != SCHEMA}


def _template(path: str) -> str:
    named = path.replace("gpu-1.lab", "{name}").replace("org/chat", "{name}")
    return named.replace(str(KEY_ID), "{id}")


def test_the_schema_comes_as_json_or_yaml(api: Api) -> None:
    assert "json" in api.get(SCHEMA)["Content-Type"]
    assert "yaml" not in api.get(SCHEMA, accept="application/json")["Content-Type"]
    assert "openapi: 3" in api.get(f"{SCHEMA}?format=yaml").content.decode()
    refused = Api().get(f"{SCHEMA}?format=yaml")
    assert refusal(refused)["code"] == "invalid_api_key"
