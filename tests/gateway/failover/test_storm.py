"""Calls of every kind, servers that fail in every way, clients that leave and operators that drain,
all at once and by chance: afterwards nothing is held, and the next call is answered."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import pytest

from gateway.fleet.breaker import Breaking
from gateway.routing import Settings
from providers.snapshot import AliasEntry, TargetEntry
from tests.gateway.failover.conftest import NAME, OTHER_KEY, Fleet
from tests.gateway.pure.resuming.telling import WORDS, Server
from tests.mounted import CHAT, MASTER_KEY, MODEL, key_of, request
from tests.patience import PATIENCE_SECONDS
from tests.processes import eventually
from tests.raw_http import CutShortError
from tests.scripted_vllm import Received
from tests.scripting import LAST_CHUNK, Script, Then, chunk_bytes, json_answer, stream_head

CALLS = 60
MOST_STAY_SECONDS = 0.15
HELLO = [{"role": "user", "content": "Go."}]
PATHS = (CHAT, CHAT, "/v1/messages", "/p/vllm/v1/chat/completions", "/p/one/v1/chat/completions")
ABORTED = {"choices": [{"message": {"content": "He"}, "finish_reason": "abort"}]}


def answers(chance: random.Random, name: str) -> Callable[[Received], Script]:
    def plain() -> Script:
        status, body = chance.choice(
            [(200, {}), (200, {}), (200, ABORTED), (400, {}), (429, {}), (500, {}), (503, {})]
        )
        return Script((json_answer(status, body),))

    def streamed(call: Received) -> Script:
        events = Server(name, WORDS).stream(call.body)
        then: Then = chance.choice(["keep", "keep", "close", "reset"])
        until = len(events) if then == "keep" else chance.randint(0, len(events))
        end = (LAST_CHUNK,) if then == "keep" else ()
        writes = (stream_head(), *map(chunk_bytes, events[:until]), *end)
        return Script(writes, then, pause_seconds=chance.choice([0, 0.003]))

    def answer(call: Received) -> Script:
        if chance.random() < 0.05:
            return Script((), chance.choice(["close", "reset", "stall"]))
        return streamed(call) if call.json.get("stream") and chance.random() < 0.8 else plain()

    return answer


def call(fleet: Fleet, chance: random.Random) -> None:
    """It stays for its answer, or not."""
    body = {
        "model": chance.choice([NAME, MODEL, f"one/{MODEL}", "nobody"]),
        "messages": HELLO,
        "max_tokens": 99,
        "stream": chance.random() < 0.6,
        "tools": chance.choice([[], "no tools"]) if chance.random() < 0.1 else [],
    }
    path, key = chance.choice(PATHS), chance.choice([MASTER_KEY, MASTER_KEY, OTHER_KEY])
    client = fleet.gateway.connect()
    try:
        client.send(request("POST", path, msgspec.json.encode(body), key=key))
        if chance.random() < 0.3:
            time.sleep(chance.random() * MOST_STAY_SECONDS)
        else:
            with contextlib.suppress(OSError, CutShortError):
                client.read_answer()  # of a plain answer that breaks off there is no whole
    finally:
        client.close()


def publish(fleet: Fleet, chance: random.Random, *, calm: bool = False) -> None:
    entries = [
        replace(
            entry,
            first_byte_seconds=0.2,
            max_concurrency=chance.choice([1, 2, None]),
            draining=not calm and chance.random() < 0.2,
            translation=chance.choice(["auto", "always"]),
        )
        for entry in fleet.entries.values()
        if calm or chance.random() < 0.9
    ]
    tiers = chance.choice([(("one", "two"),), (("one",), ("two",))])
    targets = tuple(tuple(TargetEntry(name, MODEL) for name in tier) for tier in tiers)
    fleet.gateway.publish(
        *entries,
        keys={secret: key_of(secret) for secret in (MASTER_KEY, OTHER_KEY)},
        aliases=[AliasEntry(NAME, targets, resumes=chance.random() < 0.7)],
    )


def stuck(fleet: Fleet) -> list[str]:
    return fleet.gateway.on_loop(stuck_in(fleet))


async def stuck_in(fleet: Fleet) -> list[str]:
    """What is still held, in words."""
    of = fleet.gateway.fleet
    found = [f"{sight.entry.name}: {sight.in_flight} calls" for sight in of._sights.values()]
    held = [text for text in found if not text.endswith(": 0 calls")]
    held += ["a line"] * len(of._waiting)
    for sight in of._sights.values():
        if sight.breaker.state is Breaking.HALF_OPEN and not sight.breaker.admits(of.now()):
            held.append(f"{sight.entry.name}: a trial")
    return held


@pytest.mark.parametrize("of_fleet", [{"clock": time.monotonic, "sleep": asyncio.sleep}])
@pytest.mark.parametrize("options", [{"pools": Settings(queue_calls=6, queue_seconds=0.5)}])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_held_after_a_storm(fleet: Fleet, seed: int) -> None:
    chance = random.Random(seed)
    fleet.one.answers = answers(chance, "one")
    fleet.two.answers = answers(chance, "two")

    with ThreadPoolExecutor(12) as elsewhere:
        calls = []
        for number in range(CALLS):
            calls.append(elsewhere.submit(call, fleet, random.Random(f"{seed} {number}")))
            if number % 4 == 0:
                publish(fleet, chance)
                time.sleep(0.01)
        for each in calls:
            each.result(PATIENCE_SECONDS)

    eventually(lambda: not stuck(fleet))
    fleet.one.answers = fleet.two.answers = None
    publish(fleet, chance, calm=True)
    eventually(lambda: fleet.chat(MODEL).status == 200)
    eventually(lambda: not stuck(fleet))
