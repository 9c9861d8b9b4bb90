"""Auroras behind Auroras: a chain carries calls, a loop is refused by the first that is in it twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.fleet.breaker import Breaking
from gateway.hops import MOST_HOPS
from providers import vias
from providers.snapshot import AliasEntry, TargetEntry
from tests.mounted import (
    CHAT,
    MASTER_KEY,
    MODEL,
    NO_HURRY,
    MountedGateway,
    chat,
    error_of,
    provider,
)
from tests.realtime_mounted import MountedRealtime
from tests.serving import ServerThread

HOPS = "x-aurora-hops"
LOOP = (508, "loop_detected")
CALLS = [
    ("POST", CHAT, chat()),
    ("POST", CHAT, chat(stream=True)),
    ("POST", "/v1/responses", b'{"model":"alpha/%b","input":"x"}' % MODEL.encode()),
    ("POST", "/v1/embeddings", b'{"model":"alpha/%b","input":"x"}' % MODEL.encode()),
    ("POST", "/p/alpha/v1/chat/completions", chat()),
    ("POST", "/p/vllm/v1/chat/completions", chat()),
    ("GET", "/p/alpha/health", b""),
]


@pytest.fixture
def mounted(server_thread: ServerThread) -> Iterator[Callable[..., MountedGateway]]:
    """Starts an Aurora of this id; another's lines are among its own."""
    all_mounted = []

    def start(id: str, **options: Any) -> MountedGateway:
        aurora = MountedGateway(
            server_thread,
            NO_HURRY,
            installation=(id, f"{id}0"),
            of_fleet={"repeated_share": 1.0},
            **options,
        )
        aurora.is_alone = False
        all_mounted.append(aurora)
        return aurora

    yield start
    for aurora in all_mounted:
        aurora.close()


def behind(aurora: MountedGateway, name: str = "alpha", **settings: Any) -> Any:
    return provider(f"{aurora.url}/v1", name, key=MASTER_KEY, **settings)


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_a_provider_that_is_aurora_itself_is_found_at_once(mounted, method, path, body):
    aurora = mounted("a")
    aurora.publish(behind(aurora))
    answer = aurora.call(method, path, body)

    assert (answer.status, error_of(answer)["code"]) == LOOP
    assert aurora.calls == 2
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(("method", "path", "body"), CALLS[:2] + CALLS[4:5])
def test_two_that_are_each_others_are_found_by_the_first(mounted, method, path, body):
    a, b = mounted("a"), mounted("b")
    a.publish(behind(b))
    b.publish(behind(a), behind(a, "second"))
    answer = a.call(method, path, body)

    assert (answer.status, error_of(answer)["code"]) == LOOP
    assert a.calls <= 3, "b asks a once under each name"
    assert b.calls == 1


def test_a_chain_on_purpose_carries_calls(mounted, vllm):
    a, b, c = mounted("a"), mounted("b"), mounted("c")
    a.publish(behind(b))
    b.publish(behind(c))
    c.publish(provider(vllm.url))

    assert a.call("POST", CHAT, chat()).status == 200
    assert vllm.received[0].headers[HOPS] == "a,b,c"


def test_a_server_beside_a_loop_takes_the_call_and_the_loop_harms_nobody(mounted, vllm):
    a, b = mounted("a"), mounted("b")
    a.publish(behind(b))
    b.publish(
        behind(a, "alpha"),
        provider(vllm.url, "beta"),
        aliases=[AliasEntry(MODEL, tuple((TargetEntry(n, MODEL),) for n in ("alpha", "beta")))],
    )
    for _ in range(30):
        assert a.post(CHAT, {"model": MODEL, "messages": []}).status == 200
    assert len(vllm.received) == 30
    sights = [b.fleet.known(entry) for entry in b.catalog.current().providers.values()]
    assert {sight.breaker.state for sight in sights} == {Breaking.CLOSED}


def test_an_older_id_of_its_own_is_known_too(mounted, vllm):
    a = mounted("a")
    a.publish(provider(vllm.url))
    answer = a.call("POST", CHAT, chat(), [(HOPS, "x, a0")])

    assert (answer.status, error_of(answer)["code"]) == LOOP
    assert vllm.received == []


@pytest.mark.parametrize("said", [",".join(["x"] * (MOST_HOPS + 1)), "x" * 600, "," * 600])
def test_a_chain_without_end_is_a_loop(mounted, vllm, said):
    a = mounted("a")
    a.publish(provider(vllm.url))
    answer = a.call("POST", CHAT, chat(), [(HOPS, said)])

    assert (answer.status, error_of(answer)["code"]) == LOOP
    assert vllm.received == []


@pytest.mark.parametrize(
    ("said", "sent"),
    [("", "a"), ("other", "other,a"), ("A!, <b>, c", "c,a"), ("caf\xe9", "a"), (", ,", "a")],
)
def test_what_a_client_makes_up_harms_at_most_its_own_call(mounted, vllm, said, sent):
    a = mounted("a")
    a.publish(provider(vllm.url))

    assert a.call("POST", CHAT, chat(), [(HOPS, said)]).status == 200
    assert a.call("POST", CHAT, chat()).status == 200
    assert [call.headers[HOPS] for call in vllm.received] == [sent, "a"]


def test_a_refusal_is_in_the_dialect_of_the_client(mounted):
    a = mounted("a")
    a.publish(behind(a))
    body = b'{"model":"alpha/%b","max_tokens":5,"messages":[]}' % MODEL.encode()
    answer = a.call("POST", "/v1/messages", body, [("anthropic-version", "2023-06-01")])

    assert answer.status == 508
    assert (answer.json["type"], answer.json["error"]["type"]) == ("error", "api_error")


@pytest.mark.parametrize("path", ["/v1/realtime", "/p/alpha/v1/realtime"])
def test_a_session_that_leads_back_is_refused(server_thread, path):
    aurora = MountedRealtime(server_thread, installation=("a",))
    aurora.publish(provider(f"{aurora.url}/v1", models=(MODEL,), key=MASTER_KEY))
    answer = aurora.handshake(
        f"{path}?model=alpha/{MODEL}", (("Authorization", f"Bearer {MASTER_KEY}"),)
    )
    sessions = aurora.sessions
    aurora.close()

    assert (answer.status, sessions) == (508, 2)


# What one Aurora tells another of its models


def test_only_another_aurora_is_told_behind_which_ones_a_model_is(mounted, vllm):
    a = mounted("a")
    cards = {MODEL: {"id": MODEL, vias.MEMBER: ["b"], "root": "r"}}
    a.publish(provider(vllm.url, models=cards))
    listed = a.call("GET", "/v1/models").json["data"]
    shown = a.call("GET", f"/v1/models/alpha/{MODEL}").json
    told = a.call("GET", "/v1/models", headers=[(HOPS, "c")]).json["data"]

    assert not any(vias.MEMBER in card for card in [*listed, shown])
    assert {card["root"] for card in [*listed, shown, *told]} == {"r"}
    assert [card[vias.MEMBER] for card in told] == [["a", "b"]] * len(told)


@pytest.mark.parametrize(("via", "leads"), [([], 0), (["x"], 0), (["x", "a0"], 1), (["x"] * 9, 1)])
def test_what_is_served_from_here_leads_back(via, leads):
    assert vias.leads_back({"id": "m", vias.MEMBER: via}, ("a", "a0")) == bool(leads)


@pytest.mark.parametrize("said", ["a", {"a": 1}, [1, None], None])
def test_a_card_that_says_nonsense_leads_nowhere(said):
    assert not vias.leads_back({"id": "m", vias.MEMBER: said}, ("a",))
