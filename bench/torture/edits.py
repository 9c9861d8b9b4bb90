"""Edits and rotations while calls run, through both of two processes."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from bench.client import Server
from bench.torture.installation import Installation, Stage, open_installation
from bench.torture.result import Result
from bench.torture.servers import open_fleet
from bench.torture.traffic import Traffic

OVERLAP_SECONDS = 30
LIVE_SECONDS = 2.0
"""Until a new secret is known in every process, as promised."""
EDITORS = 4


@dataclass(slots=True)
class _Keys:
    """The application's key, replaced again and again; calls take the newest that is live."""

    server: Server
    key: str
    id: str

    def next_server(self, servers: itertools.cycle[Server]) -> Server:
        return replace(next(servers), key=self.key)


@dataclass(slots=True)
class _Edits:
    made: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    weights: dict[str, float] = field(default_factory=dict)

    def note(self, what: str, answer: httpx.Response) -> Any:
        self.made += 1
        if not answer.is_success:
            self.faults[f"failed: {what} was answered {answer.status_code}"] += 1
            return None
        return answer.json() if answer.content else {}


async def run(stage: Stage) -> Result:
    """Servers are weighted, capped, drained, renamed and added; aliases and keys come and go."""
    result, edits = Result(), _Edits()
    async with open_fleet(4) as fleet, open_installation(stage, fleet) as aurora:
        async with aurora.api() as api:
            issued = (await api.post("/api/keys", json={"name": "an application"})).json()
        await asyncio.sleep(LIVE_SECONDS)
        keys = _Keys(aurora.processes[0].server, issued["secret"], issued["id"])
        servers = itertools.cycle([process.server for process in aurora.processes])
        async with Traffic(lambda: keys.next_server(servers)) as traffic:
            await _edit_for(stage.sized(60, 5), aurora, keys, edits)
        await _check_rows(aurora, edits)
        result.faults = traffic.faults + edits.faults + traffic.check_executed(fleet)
        result.faults.update(f"logged as an error: {line}" for line in aurora.faults_logged())
    result.add("calls", len(traffic.attempts))
    result.add("edits", edits.made)
    return result


async def _edit_for(seconds: float, aurora: Installation, keys: _Keys, edits: _Edits) -> None:
    end = time.monotonic() + seconds
    works: list[Callable[[Installation, int, _Edits], Awaitable[None]]] = [
        _weigh,
        _drain_and_back,
        _alias,
        _another_key,
        _another_server,
    ]

    async def editor(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < end:
            await chance.choice(works)(aurora, number, edits)

    async def rotator() -> None:
        while time.monotonic() < end:
            await _rotate(aurora, keys, edits)
            await asyncio.sleep(LIVE_SECONDS)

    await asyncio.gather(rotator(), *map(editor, range(EDITORS)))


async def _rotate(aurora: Installation, keys: _Keys, edits: _Edits) -> None:
    async with aurora.api(1) as api:
        answer = await api.post(
            f"/api/keys/{keys.id}/rotate", json={"overlap_seconds": OVERLAP_SECONDS}
        )
    successor = edits.note("a rotation", answer)
    if successor:
        await asyncio.sleep(LIVE_SECONDS)
        keys.key, keys.id = successor["secret"], successor["id"]


async def _weigh(aurora: Installation, number: int, edits: _Edits) -> None:
    """Each editor has a member of its own on rows that all of them write: none may be lost."""
    async with aurora.api(number % 2) as api:
        value = round(random.uniform(0.5, 5.0), 3)
        member = ("weight", "connect_seconds", "first_byte_seconds", "idle_seconds")[number]
        sent = value if member == "weight" else value + 30
        answer = await api.patch("/api/providers/vllm-1", json={member: sent})
        if edits.note("a change of a server", answer):
            edits.weights[member] = sent


async def _drain_and_back(aurora: Installation, number: int, edits: _Edits) -> None:
    async with aurora.api(number % 2) as api:
        for draining in (True, False):
            answer = await api.patch("/api/providers/vllm-2", json={"draining": draining})
            edits.note("a drain", answer)


async def _alias(aurora: Installation, number: int, edits: _Edits) -> None:
    name = f"alias-{number}"
    async with aurora.api(number % 2) as api:
        targets = [{"model": "mock-model"}]
        edits.note(
            "an alias", await api.post("/api/aliases", json={"name": name, "targets": targets})
        )
        edits.note("an alias's end", await api.delete(f"/api/aliases/{name}"))


async def _another_key(aurora: Installation, number: int, edits: _Edits) -> None:
    async with aurora.api(number % 2) as api:
        issued = edits.note("a key", await api.post("/api/keys", json={"name": f"key {number}"}))
        if issued:
            edits.note("a revocation", await api.post(f"/api/keys/{issued['id']}/revoke"))


async def _another_server(aurora: Installation, number: int, edits: _Edits) -> None:
    name, url = f"more-{number}", aurora.fleet.urls[3]
    async with aurora.api(number % 2) as api:
        edits.note(
            "a server", await api.post("/api/providers", json={"name": name, "base_url": url})
        )
        edits.note(
            "a new name", await api.patch(f"/api/providers/{name}", json={"name": f"{name}-b"})
        )
        edits.note("a server's end", await api.delete(f"/api/providers/{name}-b"))


async def _check_rows(aurora: Installation, edits: _Edits) -> None:
    async with aurora.api() as api:
        row = (await api.get("/api/providers/vllm-1")).json()
    for member, value in edits.weights.items():
        if row[member] != value:
            edits.faults[f"lost: a change of {member}"] += 1
