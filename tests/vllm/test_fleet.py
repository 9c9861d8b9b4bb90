"""Two real servers of one model: one is killed under load, streams are finished by the other, and
sessions find their cached prefixes. With an Aurora of its own.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.processes import eventually, free_port
from tests.vllm import servers
from tests.vllm.conftest import ADMIN_PASSWORD, MASTER_KEY, VLLM_KEY

MODEL = servers.TEXT_MODEL
FINISHING = "finishing-sentences"
"""The alias whose streams are finished by another server."""
AT_ONCE = 32
TOKENS = 120
NOTICED_SECONDS = 1.0
MOST_TRIALS = 2
"""Calls by which the circuit breaker tries whether the server is back."""
BACK_SECONDS = 10.0
PAUSE_SECONDS = 0.5
"""Between calls that look whether it is back. Without it the other server would have both cores, and
the one that has just started could not even say that it is well."""
CALL_SECONDS = 120
STORY = "Tell me a long story."
HITS = re.compile(r"^vllm:prefix_cache_hits_total(?:{[^}]*})? (\S+)$", re.MULTILINE)


@pytest.fixture(scope="session")
def pair(spare: servers.Server, text: servers.Server) -> list[servers.Server]:
    """Two servers of MODEL: the first may be killed."""
    return [spare, text]


def started(pair: list[servers.Server], folder: Path, log: Path, **settings: str) -> servers.Server:
    """Aurora before the two, with both models known."""
    providers = {
        name: {"type": "vllm", "base_url": f"{server.url}/v1", "api_key": VLLM_KEY}
        for name, server in zip(("one", "two"), pair, strict=True)
    }
    server = servers.aurora(
        folder,
        free_port(),
        log,
        providers,
        AURORA_MASTER_KEY=MASTER_KEY,
        AURORA_ADMIN_PASSWORD=ADMIN_PASSWORD,
        **settings,
    )
    server.start()
    server.wait(servers.AURORA_READY_SECONDS)
    servers.wait_for_models(server, MASTER_KEY, count=2)
    return server


@pytest.fixture(scope="module")
def aurora(
    pair: list[servers.Server], tmp_path_factory: pytest.TempPathFactory, logs: Path
) -> Iterator[servers.Server]:
    server = started(pair, tmp_path_factory.mktemp("fleet"), logs / "fleet-aurora.log")
    try:
        made = httpx.post(
            f"{server.url}/api/aliases",
            json={"name": FINISHING, "resumes": True, "targets": [{"tier": 1, "model": MODEL}]},
            headers={"authorization": f"Bearer {MASTER_KEY}"},
        )
        assert made.status_code == 201, made.text
        eventually(lambda: FINISHING in listed(server), servers.AURORA_READY_SECONDS)
        yield server
    finally:
        server.stop()


def listed(aurora: servers.Server) -> list[str]:
    answer = httpx.get(f"{aurora.url}/v1/models", headers={"authorization": f"Bearer {MASTER_KEY}"})
    return [card["id"] for card in answer.json()["data"]]


@dataclass
class Told:
    """What a client was told, and when it asked."""

    model: str
    streamed: bool
    id: str = field(default_factory=lambda: f"fleet-{uuid4()}")
    began: float = field(default_factory=time.monotonic)
    status: int = 0
    provider: str = ""
    attempts: int = 0
    events: list[Any] = field(default_factory=list)
    is_done: bool = False

    def read(self, body: bytes) -> None:
        for block in body.decode().split("\n\n"):
            if block == "data: [DONE]":
                self.is_done = True
            elif block:
                self.events.append(json.loads(block.removeprefix("data: ")))

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [event for event in self.events if "error" not in event]

    @property
    def text(self) -> str:
        return "".join(
            choice["delta"].get("content") or ""
            for event in self.chunks
            for choice in event["choices"]
        )


async def ask(
    client: httpx.AsyncClient, told: Told, *, tokens: int = TOKENS, text: str = STORY
) -> Told:
    body: dict[str, Any] = {
        "model": told.model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "temperature": 0,
    }
    if told.streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    headers = {"x-request-id": told.id, "x-session-id": told.id}  # each to its own server
    async with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        told.status = answer.status_code
        told.provider = answer.headers.get("x-aurora-provider", "")
        told.attempts = int(answer.headers.get("x-aurora-attempts", 0))
        content = await answer.aread()
    if told.streamed and answer.is_success:
        told.read(content)
    return told


def client_of(aurora: servers.Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=aurora.url,
        headers={"authorization": f"Bearer {MASTER_KEY}"},
        timeout=CALL_SECONDS,
        limits=httpx.Limits(max_connections=None),
    )


@pytest.mark.anyio
async def test_a_server_is_killed_under_load(
    aurora: servers.Server, pair: list[servers.Server]
) -> None:
    async with client_of(aurora) as client:
        uncut = await ask(client, Told(FINISHING, streamed=True))
        kinds = ((MODEL, False), (MODEL, True), (FINISHING, True))
        sizes = (AT_ONCE, AT_ONCE // 2, AT_ONCE // 2)
        made = [
            Told(model, streamed=streamed)
            for (model, streamed), count in zip(kinds, sizes, strict=True)
            for _ in range(count)
        ]
        calls = [asyncio.create_task(ask(client, told)) for told in made]
        await asyncio.to_thread(eventually, lambda: streams_of_both_run(made), CALL_SECONDS)
        died = time.monotonic()
        await asyncio.to_thread(pair[0].stop, signal.SIGKILL)
        await asyncio.sleep(NOTICED_SECONDS)
        after = [
            await ask(client, Told(MODEL, streamed=False), tokens=2, text=f"{number}")
            for number in range(10)
        ]
        told = list(await asyncio.gather(*calls))
        assert time.monotonic() - died < CALL_SECONDS

        plain = [each for each in told if not each.streamed]
        assert {each.status for each in plain} == {200}, "no plain call fails"
        assert sum(each.attempts > 1 for each in after) <= MOST_TRIALS, "the dead one is shunned"
        finishing = [each for each in told if each.model == FINISHING]
        for each in finishing:
            assert_one_whole_stream(each, uncut)
        others = [each for each in told if each.streamed and each.model == MODEL]
        for each in others:
            assert each.is_done or "error" in each.events[-1]
        assert any(not each.is_done for each in others), "none was cut: nothing was tested"
        assert_each_call_has_one_line(aurora, [*told, *after, uncut])

        pair[0].start()
        await asyncio.to_thread(pair[0].wait, servers.VLLM_READY_SECONDS)
        ready = time.monotonic()
        while not await has_calls_again(client, "one"):
            assert time.monotonic() - ready < BACK_SECONDS
            await asyncio.sleep(PAUSE_SECONDS)


async def has_calls_again(client: httpx.AsyncClient, provider: str) -> bool:
    """Whether one of a few calls, each of its own session, goes there."""
    sent = [
        ask(client, Told(MODEL, streamed=False), tokens=1, text=f"{number}: {uuid4()}")
        for number in range(8)
    ]
    told = await asyncio.gather(*sent)
    assert {each.status for each in told} == {200}
    return provider in {each.provider for each in told}


def streams_of_both_run(made: list[Told]) -> bool:
    """Whether the killed server leaves streams of either kind in their middle."""
    begun = [(told.model, told.provider) for told in made if told.streamed]
    return all(begun.count((model, "one")) >= 3 for model in (MODEL, FINISHING))


def assert_one_whole_stream(told: Told, uncut: Told) -> None:
    assert told.status == 200
    assert told.is_done
    assert [event for event in told.events if "error" in event] == []
    assert len({event["id"] for event in told.chunks}) == 1
    roles = [c for e in told.chunks for c in e["choices"] if c["delta"].get("role")]
    assert len(roles) == 1
    ends = [c["finish_reason"] for e in told.chunks for c in e["choices"] if c["finish_reason"]]
    assert ends == ["length"]
    usage = told.chunks[-1]["usage"]
    assert usage["prompt_tokens"] == uncut.chunks[-1]["usage"]["prompt_tokens"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert abs(usage["completion_tokens"] - TOKENS) <= 2


def assert_each_call_has_one_line(aurora: servers.Server, told: list[Told]) -> None:
    made = sorted(each.id for each in told)

    def lines() -> list[str]:
        ids = re.findall(r'"request_id":"(fleet-[^"]+)"', aurora.log.read_text())
        return sorted(ids)

    assert eventually(lambda: len(lines()) >= len(made), 5.0)
    assert lines() == made


# Prefixes.


def hits(pair: list[servers.Server]) -> float:
    return sum(
        float(found)
        for server in pair
        for found in HITS.findall(httpx.get(f"{server.url}/metrics").text)
    )


def talk(aurora: servers.Server, sessions: int, turns: int, salt: str) -> None:
    """Conversations that grow, in turns; none names its session."""
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    talks: list[list[dict[str, str]]] = [
        [{"role": "user", "content": f"{salt} {number}: {'once upon a time ' * 3}"}]
        for number in range(sessions)
    ]
    for turn in range(turns):
        for messages in talks:
            body = {"model": MODEL, "messages": messages, "max_tokens": 2, "temperature": 0}
            answer = httpx.post(
                f"{aurora.url}/v1/chat/completions", json=body, headers=headers, timeout=60
            )
            assert answer.status_code == 200, answer.text
            messages.append({"role": "assistant", "content": "And then?"})
            messages.append({"role": "user", "content": f"Go on, {turn}, please."})


def test_sessions_find_their_prefixes_cached(
    pair: list[servers.Server], tmp_path: Path, logs: Path
) -> None:
    found = {}
    for policy in ("round_robin", "affinity"):
        aurora = started(
            pair, tmp_path / policy, logs / f"fleet-{policy}.log", AURORA_POOL_POLICY=policy
        )
        try:
            before = hits(pair)
            talk(aurora, sessions=7, turns=6, salt=policy)
            found[policy] = hits(pair) - before
        finally:
            aurora.stop()
    print(f"tokens found in the prefix cache: {found}")
    assert found["affinity"] > 1.2 * found["round_robin"]
