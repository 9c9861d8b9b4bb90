"""A server dies under load: no plain call fails, streams end as they must, each call has one line.

The lane against real vLLM servers does the same with `kill -9` (tests/vllm/test_fleet.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
import pytest

from tests.loopback import CLIENT
from tests.patience import PATIENCE_SECONDS
from tests.process.running import Aurora
from tests.processes import eventually
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm
from tests.scripting import LAST_CHUNK, Script, chunk_bytes, replay_writes, stream_head

MASTER_KEY = "sk-of-the-chaos-0123456789"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
AT_ONCE = 50
CHUNK = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
ROUND_CALLS = 25
MOST_TRIALS = 4
"""Calls of a round by which the circuit breaker tries whether the server is back: ever fewer as
time passes, so the fourth comes after half a minute."""


@dataclass
class Outcome:
    """What became of a call, as its client saw it."""

    id: str
    streamed: bool
    status: int = 0
    body: bytes = b""
    attempts: int = 0
    provider: str = ""

    @property
    def is_whole(self) -> bool:
        return self.status == 200 and (not self.streamed or self.body.endswith(DONE))

    @property
    def ended_with_an_error(self) -> bool:
        return b'\n\ndata: {"error"' in self.body and not self.body.endswith(DONE)


@dataclass
class Load:
    """Makes calls, each with an id of its own."""

    client: httpx.AsyncClient
    outcomes: list[Outcome] = field(default_factory=list)

    async def call(self, *, streamed: bool) -> Outcome:
        outcome = Outcome(f"chaos-{uuid4()}", streamed)
        self.outcomes.append(outcome)
        body = {"model": MODEL, "stream": streamed, "messages": [_message(outcome.id)]}
        headers = {"x-request-id": outcome.id}
        async with self.client.stream(
            "POST", "/v1/chat/completions", json=body, headers=headers
        ) as answer:
            outcome.status = answer.status_code
            outcome.attempts = int(answer.headers.get("x-aurora-attempts", 0))
            outcome.provider = answer.headers.get("x-aurora-provider", "")
            async for piece in answer.aiter_raw():
                outcome.body += piece
        return outcome

    async def round(self) -> list[Outcome]:
        """Plain calls, one after the other."""
        return [await self.call(streamed=False) for _ in range(ROUND_CALLS)]


def _message(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.fixture
def servers() -> Iterator[list[ScriptedVllm]]:
    with ScriptedVllm() as one, ScriptedVllm() as two:
        yield [one, two]


@pytest.fixture
def aurora(serve, servers: list[ScriptedVllm]) -> Aurora:
    started: Aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY,
        VLLM_ONE_BASE_URL=servers[0].url,
        VLLM_TWO_BASE_URL=servers[1].url,
    )
    eventually(lambda: len(started.models(MASTER_KEY)) == 2)
    return started


def answers_slowly(server: ScriptedVllm) -> None:
    """Plain calls and streams alike take half a second, the streams in ten chunks."""
    plain = b"".join(replay_writes(load("gen_chat_plain")))
    chunks = map(chunk_bytes, [CHUNK] * 10 + [DONE])
    streamed = Script((stream_head(), *chunks, LAST_CHUNK), pause_seconds=0.05)
    server.answers = lambda call: (
        streamed if call.json["stream"] else Script((b"", plain), pause_seconds=0.5)
    )


def never_ends(server: ScriptedVllm) -> None:
    """Plain calls get nothing, streams their first chunks: all of them run until it dies."""
    begun = Script((stream_head(), chunk_bytes(CHUNK), chunk_bytes(CHUNK)), then="stall")
    server.answers = lambda call: begun if call.json["stream"] else Script((), then="stall")


def answers_at_once(server: ScriptedVllm) -> None:
    server.answers = None


@pytest.mark.anyio
async def test_a_server_dies_under_load_and_comes_back(
    aurora: Aurora, servers: list[ScriptedVllm]
) -> None:
    dying, living = servers
    never_ends(dying)
    answers_slowly(living)
    async with httpx.AsyncClient(
        base_url=aurora.url,
        headers={"authorization": f"Bearer {MASTER_KEY}"},
        limits=httpx.Limits(max_connections=None),
        **CLIENT,
    ) as client:
        load = Load(client)
        calls = [
            asyncio.create_task(load.call(streamed=streamed))
            for streamed in (False, True)
            for _ in range(AT_ONCE)
        ]
        await asyncio.to_thread(eventually, lambda: _all_have_begun(servers, load))
        assert min(len(server.received) for server in servers) > AT_ONCE / 4, "both have calls"

        await asyncio.to_thread(dying.stop)
        first = list(await asyncio.gather(*calls))
        answers_at_once(living)
        after = await load.round()
        answers_at_once(dying)
        await asyncio.to_thread(dying.start)
        await _until_both_are_called(load)

    assert [each for each in load.outcomes if not each.streamed and each.status != 200] == []
    streams = [each for each in first if each.streamed]
    assert all(each.is_whole or each.ended_with_an_error for each in streams)
    broken = [each for each in streams if not each.is_whole]
    assert broken
    assert {each.provider for each in broken} == {"vllm-one"}
    assert {each.provider for each in after} == {"vllm-two"}
    assert sum(each.attempts > 1 for each in after) <= MOST_TRIALS
    _every_call_has_one_line(aurora, load)


def _all_have_begun(servers: list[ScriptedVllm], load: Load) -> bool:
    have_come = sum(len(server.received) for server in servers) == 2 * AT_ONCE
    return have_come and all(each.body for each in load.outcomes if each.streamed)


async def _until_both_are_called(load: Load) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while {each.provider for each in await load.round()} != {"vllm-one", "vllm-two"}:
            pass


def _every_call_has_one_line(aurora: Aurora, load: Load) -> None:
    made = sorted(each.id for each in load.outcomes)

    def lines() -> list[str]:
        told = (line.get("request_id", "") for line in aurora.lines)
        return sorted(id for id in told if id.startswith("chaos-"))

    eventually(lambda: len(lines()) >= len(made))
    assert lines() == made
