"""A server dies under load: no plain call fails, streams end as they must, each call has one line.

The lane against real vLLM servers does the same with `kill -9` (tests/vllm/test_fleet.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
import pytest

from tests.process.running import CALL_SECONDS, LIVE_SECONDS, Aurora
from tests.processes import eventually
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm
from tests.scripting import LAST_CHUNK, Script, chunk_bytes, replay_writes, stream_head

MASTER_KEY = "sk-of-the-chaos-0123456789"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
AT_ONCE = 50
CHUNK = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
NOTICED_SECONDS = 1.0
"""After so long no call is sent to a dead server any more."""
MOST_TRIALS = 2
"""Calls by which the circuit breaker tries whether the server is back."""
BACK_SECONDS = 10.0
"""After so long a server that is back has its share again."""


@dataclass
class Outcome:
    """What became of a call, as its client saw it."""

    id: str
    streamed: bool
    began: float
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
        outcome = Outcome(f"chaos-{uuid4()}", streamed, time.monotonic())
        self.outcomes.append(outcome)
        body = {"model": MODEL, "stream": streamed, "messages": [_message(outcome.id)]}
        headers = {"x-request-id": outcome.id}
        async with self.client.stream(
            "POST", "/v1/chat/completions", json=body, headers=headers
        ) as answer:
            outcome.status = answer.status_code
            outcome.attempts = int(answer.headers.get("x-aurora-attempts", 0))
            outcome.provider = answer.headers.get("x-aurora-provider", "")
            outcome.body = await answer.aread()
        return outcome

    async def steadily(self, seconds: float) -> list[Outcome]:
        """A plain call each 20 ms."""
        until, made = time.monotonic() + seconds, []
        while time.monotonic() < until:
            made.append(asyncio.create_task(self.call(streamed=False)))
            await asyncio.sleep(0.02)
        return list(await asyncio.gather(*made))


def _message(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.fixture
def servers() -> Iterator[list[ScriptedVllm]]:
    """Two that take a while for each answer."""
    with ScriptedVllm() as one, ScriptedVllm() as two:
        yield [one, two]


@pytest.fixture
def aurora(serve, servers: list[ScriptedVllm]) -> Aurora:
    started: Aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY,
        VLLM_ONE_BASE_URL=servers[0].url,
        VLLM_TWO_BASE_URL=servers[1].url,
    )
    eventually(lambda: len(started.models(MASTER_KEY)) == 2, LIVE_SECONDS)
    return started


def slowly(server: ScriptedVllm) -> None:
    """Plain calls and streams alike take half a second, the streams in ten chunks."""
    plain = b"".join(replay_writes(load("gen_chat_plain")))
    chunks = map(chunk_bytes, [CHUNK] * 10 + [DONE])
    streamed = Script((stream_head(), *chunks, LAST_CHUNK), pause_seconds=0.05)
    server.answers = lambda call: (
        streamed if call.json["stream"] else Script((b"", plain), pause_seconds=0.5)
    )


@pytest.mark.anyio
async def test_a_server_dies_under_load_and_comes_back(
    aurora: Aurora, servers: list[ScriptedVllm]
) -> None:
    for server in servers:
        slowly(server)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=aurora.url,
        headers={"authorization": f"Bearer {MASTER_KEY}"},
        timeout=CALL_SECONDS,
        trust_env=False,
        limits=limits,
    ) as client:
        load = Load(client)
        calls = [
            asyncio.create_task(load.call(streamed=streamed))
            for streamed in (False, True)
            for _ in range(AT_ONCE)
        ]
        await asyncio.to_thread(
            eventually, lambda: sum(len(s.received) for s in servers) == 2 * AT_ONCE, 5.0
        )
        await asyncio.sleep(0.15)  # every stream has begun
        assert min(len(server.received) for server in servers) > AT_ONCE / 4, "both have calls"

        died = time.monotonic()
        await asyncio.to_thread(servers[0].stop)
        after = await load.steadily(2.5)
        first = list(await asyncio.gather(*calls))
        await asyncio.to_thread(servers[0].start)
        await _until_back(load)

    assert [each for each in load.outcomes if not each.streamed and each.status != 200] == []
    streams = [each for each in first if each.streamed]
    assert all(each.is_whole or each.ended_with_an_error for each in streams)
    broken = [each for each in streams if not each.is_whole]
    assert broken
    assert {each.provider for each in broken} == {"vllm-one"}
    late = [each for each in after if each.began - died > NOTICED_SECONDS]
    assert len(late) > 20
    assert {each.provider for each in late} == {"vllm-two"}
    assert sum(each.attempts > 1 for each in late) <= MOST_TRIALS
    _every_call_has_one_line(aurora, load)


async def _until_back(load: Load) -> None:
    began = time.monotonic()
    while time.monotonic() - began < BACK_SECONDS:
        made = await load.steadily(0.2)
        if {each.provider for each in made} == {"vllm-one", "vllm-two"}:
            return
    pytest.fail(f"no call went to the server that is back within {BACK_SECONDS} s")


def _every_call_has_one_line(aurora: Aurora, load: Load) -> None:
    made = sorted(each.id for each in load.outcomes)

    def lines() -> list[str]:
        told = (line.get("request_id", "") for line in aurora.lines)
        return sorted(id for id in told if id.startswith("chaos-"))

    assert eventually(lambda: len(lines()) >= len(made), 10.0)
    assert lines() == made
