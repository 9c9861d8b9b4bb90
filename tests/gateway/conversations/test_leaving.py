"""The client leaves while a database that hangs is asked: the call ends at once, and not in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gateway.state.store import READERS
from tests.gateway.conversations.callers import user
from tests.mounted import MountedGateway, request

CONVERSATION = "/v1/conversations/conv_1"
REFERENCE = {"type": "item_reference", "id": "msg_1"}


@pytest.fixture(autouse=True)
def hanging(gateway: MountedGateway) -> Iterator[None]:
    """No thread of the store's answers."""
    over = threading.Event()

    async def hang() -> list[asyncio.Task[bool]]:
        lanes = [*[gateway.store._reader] * READERS, gateway.store._writer]
        return [asyncio.create_task(lane.run_to_the_end(over.wait)) for lane in lanes]

    async def end() -> None:
        over.set()
        await asyncio.gather(*tasks)

    tasks = gateway.on_loop(hang())
    yield
    gateway.on_loop(end())


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("POST", "/v1/conversations", {}),
        ("POST", "/v1/conversations", {"items": [REFERENCE]}),
        ("GET", CONVERSATION, None),
        ("HEAD", CONVERSATION, None),
        ("POST", CONVERSATION, {"metadata": {}}),
        ("DELETE", CONVERSATION, None),
        ("GET", f"{CONVERSATION}/items", None),
        ("POST", f"{CONVERSATION}/items", {"items": [user("Hi")]}),
        ("POST", f"{CONVERSATION}/items", {"items": [REFERENCE]}),
        ("GET", f"{CONVERSATION}/items/msg_1", None),
        ("DELETE", f"{CONVERSATION}/items/msg_1", None),
        ("GET", "/v1/responses/resp_1/input_items", None),
        (
            "POST",
            "/v1/responses/input_tokens",
            {"model": "chat", "input": "Hi", "previous_response_id": "resp_1"},
        ),
    ],
)
def test_the_client_leaves_while_the_database_hangs(
    gateway: MountedGateway, method: str, path: str, value: Any, leave: str
) -> None:
    client = gateway.connect()
    client.send(request(method, path, b"" if value is None else msgspec.json.encode(value)))
    gateway.wait_until_calls(1)
    getattr(client, leave)()

    gateway.wait_until(lambda running: not running["calls"])
    record = gateway.record()
    assert (record["status"], record["reason"]) == (0, "the client left")
