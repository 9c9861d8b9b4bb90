"""A published change counts from the next call on; no call in flight is harmed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mounted import CHAT, MASTER_KEY, MODEL, chat, key_of, provider, request
from tests.scripted_vllm import ScriptedVllm

SECOND_KEY = "a-second-secret-of-these-tests"
ROTATED = "a-rotated-key-of-the-upstream"


@pytest.fixture
def other() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        yield server


def test_a_stream_goes_on_at_its_provider_while_the_next_call_goes_to_another(gateway, vllm, other):
    chunks = [b"data: %d\n\n" % number for number in range(10)]
    vllm.will_stream(*chunks, held_after=1)
    client = gateway.connect()
    client.send(request("POST", CHAT, chat(stream=True)))
    client.read_head()
    assert client.read_chunk() == chunks[0]

    gateway.publish(provider(other.url, key=ROTATED))
    assert gateway.call("POST", CHAT, chat()).status == 200

    vllm.go_on()
    assert [client.read_chunk() for _ in chunks] == [*chunks[1:], b""]
    assert (len(vllm.received), len(other.received)) == (1, 1)
    assert other.received[0].headers["authorization"] == f"Bearer {ROTATED}"


@pytest.mark.parametrize("what", ["provider removed", "key revoked", "everything gone"])
def test_a_call_in_flight_ends_well_whatever_is_taken_away(gateway, vllm, what):
    vllm.will_stream(b'{"a":', b"1}", content_type="application/json", held_after=1)
    client = gateway.connect()
    client.send(request("POST", CHAT, chat()))
    vllm.wait_until_received()
    kept = [] if what == "provider removed" else [provider(vllm.url)]
    gateway.publish(
        *([] if what == "everything gone" else kept),
        keys={MASTER_KEY: key_of(MASTER_KEY)} if what == "provider removed" else {},
    )

    vllm.go_on()
    assert client.read_answer().body == b'{"a":1}'
    assert gateway.call("POST", CHAT, chat()).status == (404 if what == "provider removed" else 401)


def test_a_new_key_and_a_revoked_one_count_at_once_on_open_connections(gateway, vllm):
    old, new = gateway.connect(), gateway.connect()

    def statuses() -> list[int]:
        old.send(request("POST", CHAT, chat()))
        new.send(request("POST", CHAT, chat(), key=SECOND_KEY))
        return [old.read_answer().status, new.read_answer().status]

    assert statuses() == [200, 401]
    gateway.publish(
        provider(vllm.url),
        keys={MASTER_KEY: key_of(MASTER_KEY), SECOND_KEY: key_of(SECOND_KEY)},
    )
    assert statuses() == [200, 200]
    gateway.publish(provider(vllm.url), keys={SECOND_KEY: key_of(SECOND_KEY)})
    assert statuses() == [401, 200]


def test_new_settings_of_a_provider_count_from_the_next_call_on(gateway, vllm):
    assert gateway.call("POST", "/p/alpha/tokenize", b"{}").status == 200
    gateway.publish(provider(vllm.url, passthrough="off", first_byte_seconds=0.2))
    assert gateway.call("POST", "/p/alpha/tokenize", b"{}").status == 403
    vllm.will_stall()
    assert gateway.call("POST", CHAT, chat()).status == 504


def test_new_models_are_served_and_listed_at_once(gateway, vllm):
    for models in ([MODEL], [MODEL, "new"], ["new"]):
        gateway.publish(provider(vllm.url, models=models))
        listed = gateway.call("GET", "/v1/models").json["data"]
        statuses = [gateway.post(CHAT, {"model": model}).status for model in (MODEL, "new")]

        ids = sorted(models)
        assert [card["id"] for card in listed] == [*ids, *(f"alpha/{id}" for id in ids)]
        assert statuses == [200 if model in models else 404 for model in (MODEL, "new")]


def test_calls_all_end_well_while_snapshots_change_under_them(gateway, vllm, other):
    client = gateway.connect()
    for number in range(60):
        gateway.publish(provider((vllm if number % 2 else other).url))
        client.send(request("POST", CHAT, chat(stream=number % 3 == 0)))
        assert client.read_answer().status == 200

    assert (len(vllm.received), len(other.received)) == (30, 30)
