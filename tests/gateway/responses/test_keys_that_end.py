"""What runs in the background, and those who follow it, last no longer than their keys."""

from __future__ import annotations

from providers.snapshot import KeyEntry
from tests.gateway.ended_keys import ENDS, Keys
from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import (
    RESPONSES,
    create,
    events_of,
    native_stream,
    show,
    wait_for_status,
)
from tests.mounted import MASTER_KEY, MountedGateway, key_of, request
from tests.raw_http import RawClient
from tests.scripted_vllm import ScriptedVllm

SUCCESSOR = "the-secret-of-its-successor"


def held_stream(vllm: ScriptedVllm) -> None:
    first, *rest = native_stream("Hi", "!")
    vllm.will_stream(first, *rest, held_after=0)


def read_rest(client: RawClient) -> bytes:
    return b"".join(iter(client.read_chunk, b""))


def follow(gateway: MountedGateway, id: str, key: str = MASTER_KEY) -> RawClient:
    client = gateway.connect()
    client.send(request("GET", f"{RESPONSES}/{id}?stream=true", key=key))
    client.read_head()
    return client


@ENDS
def test_what_it_has_running_in_the_background_is_cancelled_and_those_who_follow_are_told(
    native: MountedGateway,
    vllm: ScriptedVllm,
    keys: Keys,
    ended,
) -> None:
    held_stream(vllm)
    id = native.post(RESPONSES, create(background=True)).json["id"]
    vllm.wait_until_received(1)
    followed = follow(native, id)

    native.publish(server(vllm), keys=ended(keys))

    vllm.wait_until_left()
    last = events_of(read_rest(followed))[-1]
    assert last["type"] == "error"
    native.publish(server(vllm), keys=keys)
    assert wait_for_status(native, id, "cancelled")["status"] == "cancelled"
    assert native.runs[-1]["reason"] == "its owner has no usable key any more"


def test_what_runs_goes_on_for_the_successor_of_its_key(
    native: MountedGateway,
    vllm: ScriptedVllm,
    keys: Keys,
) -> None:
    held_stream(vllm)
    id = native.post(RESPONSES, create(background=True)).json["id"]
    vllm.wait_until_received(1)
    old = follow(native, id)
    held = keys[MASTER_KEY]
    successor = KeyEntry(key_of(SUCCESSOR).id, held.name, "", held.kind, None, held.owner)

    native.publish(server(vllm), keys={SUCCESSOR: successor})
    assert events_of(read_rest(old))[-1]["type"] == "error", "whoever reads with the old key"
    vllm.go_on()

    native.publish(server(vllm), keys={SUCCESSOR: successor, MASTER_KEY: held})
    assert wait_for_status(native, id, "completed")
    assert events_of(show(native, f"{id}?stream=true").body)[-1]["type"] == "response.completed"
