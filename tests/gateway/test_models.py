"""What is there to serve: the listing, one card, and the probes."""

from __future__ import annotations

from typing import Any

import pytest

from providers.snapshot import NOT_LOADED, AliasEntry, TargetEntry
from tests import recorded
from tests.mounted import CHAT, MODEL, error_of, provider

CARD: dict[str, Any] = recorded.load("auth_get_v1_models").json["data"][0]
LORA = {**CARD, "id": "sql-lora", "root": "/models/sql", "parent": MODEL}


@pytest.fixture(autouse=True)
def fleet(gateway, vllm):
    """Two providers; one serves an adapter and a model whose card says little."""
    bare = {"id": "vllm/foo", "created": 7}
    gateway.publish(
        provider(vllm.url, "beta", models={"sql-lora": LORA, MODEL: CARD, "vllm/foo": bare}),
        provider(vllm.url, "alpha", models={MODEL: CARD}),
    )


def shown(provider_name: str, card: dict[str, Any]) -> dict[str, Any]:
    own = {"id": f"{provider_name}/{card['id']}", "object": "model", "owned_by": provider_name}
    return {**card, **own}


def pooled(card: dict[str, Any]) -> dict[str, Any]:
    return {**card, "object": "model", "owned_by": "vllm"}


def test_pooled_ids_are_listed_first_then_those_of_one_provider(gateway):
    """A client with a picker that takes the first has all servers of the model behind it."""
    answer = gateway.call("GET", "/v1/models")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["object"] == "list"
    assert [card["id"] for card in answer.json["data"]] == [
        MODEL,
        "sql-lora",
        "vllm/foo",
        f"alpha/{MODEL}",
        f"beta/{MODEL}",
        "beta/sql-lora",
        "beta/vllm/foo",
    ]


def test_aliases_are_listed_before_the_models(gateway, vllm):
    gateway.publish(
        provider(vllm.url, models=["a", "n"]),
        aliases=[alias("z", (TargetEntry("", "a"),)), alias("o", (TargetEntry("", "n"),))],
    )

    assert list(listed(gateway)) == ["o", "z", "a", "n", "alpha/a", "alpha/n"]


@pytest.mark.parametrize(
    ("models_of_alpha", "models_of_beta"),
    [
        (["beta/m"], ["m"]),  # it is read as beta's m
        (["vllm/m"], ["m"]),  # it is read as any vLLM server's m
        (["chat"], []),  # it is read as the alias
        (["dead"], []),  # it is read as the alias, which leads nowhere
    ],
)
def test_an_id_that_alone_means_something_else_is_not_listed_as_a_pool(
    gateway, vllm, models_of_alpha, models_of_beta
):
    gateway.publish(
        provider(vllm.url, models=[*models_of_alpha, "x"]),
        provider(vllm.url, "beta", models=models_of_beta),
        aliases=[alias("chat", (TargetEntry("", "x"),)), alias("dead")],
    )

    [id] = models_of_alpha
    pools = [name for name, card in listed(gateway).items() if card["owned_by"] == "vllm"]
    assert pools == sorted({*models_of_alpha, *models_of_beta, "x"} - {id})


def test_every_listed_id_can_be_called_and_shown(gateway, vllm):
    for id, card in listed(gateway).items():
        assert gateway.call("GET", f"/v1/models/{id}").json == card
        assert gateway.post(CHAT, {"model": id, "messages": []}).status == 200


def test_a_card_keeps_all_that_the_server_said(gateway):
    cards = {card["id"]: card for card in gateway.call("GET", "/v1/models").json["data"]}

    assert cards[f"alpha/{MODEL}"] == shown("alpha", CARD)
    assert cards[MODEL] == pooled(CARD)
    assert {"max_model_len", "root", "parent", "permission", "created"} <= set(CARD)
    assert cards["beta/sql-lora"]["parent"] == MODEL
    assert cards["beta/vllm/foo"] == {
        "id": "beta/vllm/foo", "object": "model", "owned_by": "beta", "created": 7,
    }  # fmt: skip


def test_without_providers_the_listing_is_empty(gateway):
    gateway.publish()

    assert gateway.call("GET", "/v1/models").json == {"object": "list", "data": []}


@pytest.mark.parametrize(
    ("written", "public_id"),
    [
        (f"alpha/{MODEL}", f"alpha/{MODEL}"),
        (f"beta/{MODEL}", f"beta/{MODEL}"),
        (f"beta%2F{MODEL.replace('/', '%2f')}", f"beta/{MODEL}"),
        (MODEL, MODEL),
        (MODEL.replace("/", "%2F"), MODEL),
        ("sql-lora", "sql-lora"),
        ("vllm/sql-lora", "beta/sql-lora"),
        ("vllm/foo", "vllm/foo"),
        ("beta/vllm/foo", "beta/vllm/foo"),
        ("%73ql-lora", "sql-lora"),
        ("sql-lora?x=1", "sql-lora"),
    ],
)
def test_one_model_is_shown_by_any_selector(gateway, written, public_id):
    answer = gateway.call("GET", f"/v1/models/{written}")

    assert answer.status == 200
    listed = gateway.call("GET", "/v1/models").json["data"]
    assert [answer.json] == [card for card in listed if card["id"] == public_id]


@pytest.mark.parametrize("written", ["nope", "alpha/nope", "alpha/", "gamma/" + MODEL, "alpha%2F"])
def test_a_model_that_is_not_there_is_404(gateway, written):
    answer = gateway.call("GET", f"/v1/models/{written}")

    assert (answer.status, error_of(answer)["code"]) == (404, "model_not_found")
    assert gateway.record()["path"] == "/v1/models/{id}"


@pytest.mark.parametrize("path", ["/v1/models", f"/v1/models/{MODEL}", "/health", "/ready"])
def test_head_gets_the_head_of_the_answer(gateway, path):
    head = gateway.call("HEAD", path)
    answer = gateway.call("GET", path)

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.body))
    assert head.headers["content-type"] == answer.headers["content-type"]


def test_a_connection_goes_on_after_head(gateway):
    client = gateway.connect()
    client.send(b"HEAD /health HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n")

    assert client.read_answer(to_head=True).status == 200
    assert client.read_answer().body == b'{"status":"ok"}'


def test_listing_asks_no_server(gateway, vllm):
    gateway.call("GET", "/v1/models")
    gateway.call("GET", f"/v1/models/{MODEL}")

    assert vllm.received == vllm.discoveries == []


# Aliases


def alias(name: str, *tiers: tuple[TargetEntry, ...]) -> AliasEntry:
    return AliasEntry(name, tiers)


def listed(gateway) -> dict[str, dict[str, Any]]:
    return {card["id"]: card for card in gateway.call("GET", "/v1/models").json["data"]}


@pytest.mark.parametrize(
    ("tiers", "of"),
    [
        ([[TargetEntry("", "m")]], "alpha"),
        ([[TargetEntry("beta", "m")]], "beta"),
        ([[TargetEntry("gone", "m"), TargetEntry("beta", "m")]], "beta"),
        ([[TargetEntry("", "nope")], [TargetEntry("beta", "m")]], "beta"),
        ([[TargetEntry("alpha", "m")], [TargetEntry("beta", "m", 9)]], "alpha"),
        ([[TargetEntry("alpha", "m"), TargetEntry("beta", "m", 9)]], "beta"),
    ],
)
def test_an_alias_has_the_card_of_its_first_target_that_is_served(gateway, vllm, tiers, of):
    gateway.publish(
        provider(vllm.url, "alpha", models={"m": {"id": "m", "created": 1, "owned_by": "vllm"}}),
        provider(vllm.url, "beta", models={"m": {"id": "m", "created": 2, "max_model_len": 9}}),
        aliases=[alias("chat", *map(tuple, tiers))],
    )

    said = {"alpha": {"created": 1}, "beta": {"created": 2, "max_model_len": 9}}[of]
    card = {"id": "chat", "object": "model", "owned_by": "aurora", **said}
    assert listed(gateway)["chat"] == card
    assert list(listed(gateway)) == ["chat", "m", "alpha/m", "beta/m"]


@pytest.mark.parametrize("tiers", [[], [[]], [[TargetEntry("", "x")], [TargetEntry("x", MODEL)]]])
def test_an_alias_that_nothing_serves_is_not_listed(gateway, vllm, tiers):
    gateway.publish(provider(vllm.url), aliases=[alias("chat", *map(tuple, tiers))])

    assert list(listed(gateway)) == [MODEL, f"alpha/{MODEL}"]


def test_an_alias_stands_before_a_public_id_of_its_name(gateway, vllm):
    gateway.publish(
        provider(vllm.url, models={"m": {"id": "m"}, "n": {"id": "n", "created": 3}}),
        aliases=[alias("alpha/m", (TargetEntry("alpha", "n"),))],
    )

    assert listed(gateway)["alpha/m"] == {
        "id": "alpha/m", "object": "model", "owned_by": "aurora", "created": 3,
    }  # fmt: skip


def test_a_pattern_is_not_listed_but_each_name_that_it_matches_can_be_shown(gateway, vllm):
    gateway.publish(
        provider(vllm.url, models={"m": {"id": "m", "created": 3}}),
        aliases=[alias("claude-*", (TargetEntry("", "m"),))],
    )

    assert list(listed(gateway)) == ["m", "alpha/m"]
    for name in ("claude-haiku-4-5", "claude-a/b"):
        assert gateway.call("GET", f"/v1/models/{name}").json == {
            "id": name, "object": "model", "owned_by": "aurora", "created": 3,
        }  # fmt: skip
    assert gateway.call("GET", "/v1/models/claude").status == 404
    odd = gateway.call("GET", "/v1/models/claude-%ED%A0%BD%0A%FF")
    assert (odd.status, odd.json["id"]) == (200, "claude-\ufffd\ufffd\ufffd\n\ufffd")


# The probes


def test_ready_says_so_once_there_is_something_to_serve(gateway, vllm):
    gateway.publish(provider(vllm.url, models=[]))
    before = gateway.call("GET", "/ready", key=None)
    gateway.publish(provider(vllm.url))
    after = gateway.call("GET", "/ready", key=None)

    assert (before.status, error_of(before)["code"]) == (503, "not_ready")
    assert before.headers["retry-after"] == "1"
    assert (after.status, after.json) == (200, {"status": "ready"})


def test_health_only_says_that_the_process_lives(gateway):
    gateway.publish(keys={})
    answer = gateway.call("GET", "/health", key=None)

    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/chat/completions", 503),
        ("GET", "/v1/models", 503),
        ("POST", "/p/alpha/tokenize", 503),
        ("GET", "/ready", 503),
        ("GET", "/nowhere", 404),
    ],
)
def test_before_the_database_was_read_calls_are_503(gateway, method, path, status):
    gateway.catalog.publish(NOT_LOADED)
    answer = gateway.call(method, path)

    assert answer.status == status
    assert error_of(answer)["code"] == ("not_ready" if status == 503 else "unknown_path")
    if status == 503:
        assert answer.headers["retry-after"] == "1"
        assert gateway.record()["reason"].startswith("not_ready")


def test_before_the_database_was_read_the_process_lives(gateway):
    gateway.catalog.publish(NOT_LOADED)

    assert gateway.call("GET", "/health", key=None).status == 200
