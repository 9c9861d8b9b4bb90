"""The scripted servers over real sockets, with a trace driven through them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from bench.client import Server, fetch
from bench.fleet.drive import Drive
from bench.fleet.servers import Fleet
from bench.fleet.trace import trace
from bench.mock import MODEL
from tests.processes import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
async def front() -> AsyncIterator[Server]:
    """One server of a fleet of two."""
    listening: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(Fleet(2).serve(listening.set_result))
    ports = await listening
    yield Server("servers", ports[0], MODEL)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def stats(front: Server) -> list[dict[str, float]]:
    _, answer = await fetch(front, front.get("/stats"))
    found: list[dict[str, float]] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def talk(front: Server, text: str) -> bytes:
    messages = [{"role": "user", "content": text}]
    members = {"stream": True, "max_tokens": 4, "messages": messages}
    return front.post("/v1/chat/completions", members)


async def test_a_prompt_that_was_there_before_is_found_in_the_cache(front: Server) -> None:
    text = " ".join(f"w{number}" for number in range(79))
    for _ in range(2):
        status, answer = await fetch(front, talk(front, text))
        assert status == 200
        assert b"data: [DONE]" in answer

    first, second = await stats(front)
    assert (first["calls"], first["prompt_tokens"], first["cached_tokens"]) == (2, 160, 80)
    assert second["calls"] == 0


async def test_counting_begins_anew_with_the_caches_as_they_are(front: Server) -> None:
    text = " ".join(f"w{number}" for number in range(79))
    await fetch(front, talk(front, text))
    await fetch(front, front.post("/begin", {}))
    await fetch(front, talk(front, text))

    [first, _] = await stats(front)
    assert (first["calls"], first["cached_tokens"]) == (1, 80)


async def test_it_tells_what_aurora_and_routers_ask(front: Server) -> None:
    assert (await fetch(front, front.get("/health")))[0] == 200
    assert (await fetch(front, front.get("/openapi.json")))[0] == 404
    assert b"vllm:num_requests_running" in (await fetch(front, front.get("/metrics")))[1]
    assert MODEL.encode() in (await fetch(front, front.get("/v1/models")))[1]


async def test_a_trace_is_driven_to_its_end(front: Server) -> None:
    sessions = trace(5, 1)
    outcome = await Drive([front], warm_seconds=0.0).run(sessions)

    calls = sum(len(session.at) for session in sessions)
    assert (len(outcome.firsts), dict(outcome.bad)) == (calls, {})
    assert (await stats(front))[0]["calls"] == calls


async def test_what_fails_is_counted(front: Server) -> None:
    nobody = Server("nobody", free_port(), MODEL)
    outcome = await Drive([nobody], warm_seconds=0.0).run(trace(1, 1))
    assert outcome.firsts == []
    assert sum(outcome.bad.values()) > 0
