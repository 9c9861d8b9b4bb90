"""No more connections to servers are open at once than the door may have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import UpstreamConnectTimeout
from gateway.upstream import Door, Outgoing
from tests.mounted import CHAT, UNHURRIED, provider
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm
from tests.scripting import json_answer

pytestmark = pytest.mark.anyio
MOST = 2


async def test_a_call_beyond_the_bound_waits_for_a_connection(vllm: ScriptedVllm) -> None:
    for _ in range(MOST):
        vllm.will_send(json_answer(200, {}), held_after=0)
    door = Door(connections=MOST, waits=UNHURRIED)

    async def asked(**settings: Any) -> int:
        going = Outgoing(provider(vllm.url, **settings), "POST", CHAT, [], b"{}")
        async with await door.send(going) as answer:
            async for _ in answer.pieces():
                pass
            return answer.status

    held = [asyncio.create_task(asked()) for _ in range(MOST)]
    await asyncio.to_thread(eventually, lambda: len(vllm.received) == MOST)
    with pytest.raises(UpstreamConnectTimeout):
        await asked(connect_seconds=0.1)
    assert len(vllm.received) == MOST

    waiting = asyncio.create_task(asked())
    vllm.go_on(MOST)
    assert await asyncio.gather(*held, waiting) == [200] * (MOST + 1)
    assert max(call.connection for call in vllm.received) == MOST
    await door.aclose()
