"""Who looks for a model finds the servers that have it, in the admin and over the API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from providers.models import Alias, Provider
from tests.providers.admin_pages import HOSTILE, LIST, found, provider
from tests.providers.api_client import MASTER, PROVIDERS, Api, master_key

pytestmark = pytest.mark.django_db
LLAMA, QWEN = "meta-llama/Llama-3.1-8B", "Qwen/Qwen3-Coder"


@pytest.fixture(autouse=True)
def fleet() -> None:
    found(provider("gpu-1"), LLAMA)
    found(provider("gpu-2"), LLAMA, QWEN)
    found(provider("limited", models_mode="allowlist", model_ids=[QWEN]), LLAMA)
    provider("asleep", models_mode="fallback", model_ids=[QWEN, "模型"])
    found(provider("off", enabled=False), LLAMA)
    provider("new")


def listed(client: Client, query: str) -> list[str]:
    rows: list[Provider] = client.get(LIST, {"q": query}).context["cl"].result_list
    return [row.name for row in rows]


def alias(name: str, *targets: tuple[str, str]) -> None:
    made = Alias.objects.create(name=name)
    for server, model in targets:
        made.targets.create(provider=server, model=model)


@pytest.mark.parametrize(
    ("query", "servers"),
    [
        (LLAMA, ["gpu-1", "gpu-2", "off"]),
        ("llama", ["gpu-1", "gpu-2", "off"]),
        ("  llama 8b ", ["gpu-1", "gpu-2", "off"]),
        ("coder", ["asleep", "gpu-2", "limited"]),
        ("模型", ["asleep"]),
        (f"vllm/{LLAMA}", ["gpu-1", "gpu-2", "off"]),
        (f"gpu-1/{LLAMA}", ["gpu-1"]),
        ("llama coder", []),
        ("gpt-4", []),
        ('"id"', []),
        ("asleep", ["asleep"]),
    ],
)
def test_the_search_field_finds_the_servers_that_have_a_model(
    admin_client: Client, query: str, servers: list[str]
) -> None:
    assert listed(admin_client, query) == servers


def test_the_search_field_finds_the_servers_behind_an_alias(admin_client: Client) -> None:
    alias("chat", ("gpu-1", LLAMA), ("", QWEN))
    alias("assistant", ("", "chat"))

    assert listed(admin_client, "chat") == ["asleep", "gpu-1", "gpu-2", "limited"]
    assert listed(admin_client, "assistant") == listed(admin_client, "chat")


def test_the_search_field_takes_any_text(admin_client: Client) -> None:
    for query in (HOSTILE, "' OR 1=1", "\\", "%", "x" * 5000):
        assert listed(admin_client, query) == []


def test_a_search_makes_as_many_queries_for_many_servers_as_for_few(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    def queries() -> int:
        with django_assert_max_num_queries(40) as counted:
            assert len(listed(admin_client, "llama")) > 0
        return len(counted)

    before = queries()
    for number in range(20):
        found(provider(f"more-{number}"), LLAMA)

    assert queries() == before


@pytest.mark.parametrize(
    ("model", "servers"),
    [
        (LLAMA, ["gpu-1", "gpu-2", "off"]),
        (QWEN, ["asleep", "gpu-2", "limited"]),
        (f"vllm/{QWEN}", ["asleep", "gpu-2", "limited"]),
        (f"gpu-2/{QWEN}", ["gpu-2"]),
        (f"gpu-1/{QWEN}", []),
        ("coders", ["gpu-2"]),
        ("llama", []),
        ("", []),
        (HOSTILE, []),
    ],
)
def test_the_api_lists_the_servers_that_have_a_model(model: str, servers: list[str]) -> None:
    master_key()
    alias("coders", ("gpu-2", QWEN))

    answer = Api(MASTER).get(f"{PROVIDERS}?model={quote(model, safe='')}")

    assert answer.status_code == 200
    assert [row["name"] for row in answer.json()["results"]] == servers
    assert answer.json()["count"] == len(servers)


@pytest.mark.parametrize(
    ("model", "servers"),
    [
        ("claude-haiku-4-5", ["gpu-2"]),
        ("claude-*", ["gpu-2"]),
        ("claude-mine", ["gpu-1"]),
        ("claude", []),
        (LLAMA, ["gpu-1", "gpu-2", "off"]),
    ],
)
def test_the_api_lists_the_servers_behind_a_name_that_a_pattern_matches(
    model: str, servers: list[str]
) -> None:
    master_key()
    alias("claude-*", ("gpu-2", QWEN))
    alias("claude-mine", ("gpu-1", LLAMA))
    alias("meta-*", ("gpu-2", QWEN))

    answer = Api(MASTER).get(f"{PROVIDERS}?model={quote(model, safe='')}")

    assert [row["name"] for row in answer.json()["results"]] == servers


def test_the_api_lists_all_servers_where_no_model_is_named() -> None:
    master_key()

    assert Api(MASTER).get(PROVIDERS).json()["count"] == Provider.objects.count()
