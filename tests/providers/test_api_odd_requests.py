"""The management API refuses what is odd in its one shape; nothing odd is an error of Aurora's."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from providers.models import Alias, AliasTarget, ApiKey, Provider
from tests.providers import odd_queries
from tests.providers.admin_pages import found, provider
from tests.providers.api_client import ALIASES, KEYS, MASTER, PROVIDERS, SCHEMA, Api, master_key

LISTS = {PROVIDERS: Provider, ALIASES: Alias, KEYS: ApiKey}
SOUND = {200, 400, 404, 405, 406, 409, 415}
BODIES = (
    *(b"", b"null", b"[]", b"0", b'"a"', b"{", b"\xff\xfe", b"\x00", b"{}", b"[" * 100_000),
    *(b'{"name":"\\u0000"}', b'{"name":"\\ud800"}', b'{"name":1e400}', b'{"name":{}}'),
)


@pytest.fixture
def api(db: Any) -> Api:
    master_key()
    found(provider(), "a", "b")
    AliasTarget.objects.create(alias=Alias.objects.create(name="chat"), model="a")
    caller = Api(MASTER)
    caller.client.raise_request_exception = False
    return caller


@pytest.mark.parametrize("address", LISTS)
def test_a_list_takes_its_own_parameters_alone(api: Api, address: str) -> None:
    everything = api.get(address).json()["results"]
    bad = []
    for query in odd_queries.of_fields(LISTS[address], at_once=100, but={"model", "kind"}):
        answer = api.get(f"{address}?{query}")
        if answer.status_code != 200 or _ids(answer.json()["results"]) != _ids(everything):
            bad.append((answer.status_code, query[:300]))

    assert bad == []


@pytest.mark.parametrize("address", [*LISTS, SCHEMA, f"{PROVIDERS}/vllm", f"{ALIASES}/chat"])
def test_no_odd_query_is_an_error(api: Api, address: str) -> None:
    alone = ("limit", "offset", "model", "format") if address != SCHEMA else ("format", "lang")
    queries = [*odd_queries.of_known(at_once=40, alone=alone), *odd_queries.malformed()]
    bad = [
        (status, query[:300])
        for query in queries
        if (status := _status(api, "GET", f"{address}?{query}")) not in SOUND
    ]

    assert bad == []


@pytest.mark.parametrize("address", [PROVIDERS, ALIASES, KEYS])
def test_the_name_of_no_row_is_no_error(api: Api, address: str) -> None:
    bad = []
    for value in odd_queries.VALUES:
        for rest in ("", "/refresh", "/test", "/consequences", "/clone", "/follow", "/rotate"):
            for method in ("GET", "POST", "PATCH", "DELETE"):
                path = f"{address}/{quote(value[:300], safe='')}{rest}"
                status = _status(api, method, path, b"{}")
                if status not in SOUND | {301}:
                    bad.append((status, method, path))

    assert bad == []


@pytest.mark.parametrize(
    "address",
    [
        *LISTS,
        f"{PROVIDERS}/vllm",
        f"{ALIASES}/chat",
        f"{PROVIDERS}/vllm/clone",
        f"{KEYS}/rotate",
        f"{KEYS}/revoke",
    ],
)
def test_no_odd_body_is_an_error(api: Api, address: str) -> None:
    values: list[Any] = [
        *odd_queries.VALUES,
        None,
        True,
        1e300,
        -1,
        10**30,
        [],
        {},
        [[]],
        [{}],
        ["\x00"],
        {"a": "\x00"},
        [None],
        "\ud800",
    ]
    members = [
        "name",
        "base_url",
        "api_key",
        "type",
        "model_ids",
        "models_mode",
        "weight",
        "max_concurrency",
        "connect_seconds",
        "enabled",
        "targets",
        "policy",
        "queue_calls",
        "queue_seconds",
        "response_model",
        "expires",
        "kind",
        "ids",
        "overlap_seconds",
        "source",
        "id",
    ]
    sent = [
        json.dumps({**_sound(address), member: value}).encode()
        for member in members
        for value in values
    ]
    bad = [
        (status, method, body[:200])
        for method in ("POST", "PATCH", "PUT")
        for body in (*BODIES, *sent[:: 1 if method == "POST" else 3])
        if (status := _status(api, method, address, body)) not in SOUND | {201}
    ]

    assert bad == []


def _sound(address: str) -> dict[str, Any]:
    if address == PROVIDERS:
        return {"name": "another", "base_url": "http://gpu-9:8000"}
    return {"name": "another", "targets": [{"model": "a"}]} if address == ALIASES else {}


def _ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row.get("id", row["name"]) for row in rows]


def _status(api: Api, method: str, path: str, body: bytes = b"") -> int:
    answer = api.call(method, path, body)
    if answer.status_code >= 400:
        assert set(json.loads(answer.content)) == {"error"}, path
    return int(answer.status_code)
