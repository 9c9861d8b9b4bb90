"""Callers that go on from what Aurora keeps: chains of responses, and conversations.

The servers answer with the number of messages that they were sent, so a turn that lacks the one
before is noticed by its answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.client import Server
from bench.mock import MODEL
from bench.torture.traffic import Made, call, get

PATH = "/v1/responses"


@dataclass(slots=True)
class Threads:
    """`stored` are the ids of the responses whose answers said `store: true`, acknowledged."""

    servers: Sequence[Server]
    stored: list[str] = field(default_factory=list)
    turns: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    async def single(self, number: int) -> None:
        """One response that continues nothing."""
        await self._turn(self._server(number), {}, 1)

    async def chain(self, turns: int, first: int = 0) -> None:
        """Each turn goes to the next process at once, and continues the one before."""
        previous: dict[str, object] = {}
        for turn in range(turns):
            id = await self._turn(self._server(first + turn), previous, 2 * turn + 1)
            if not id:
                return
            previous = {"previous_response_id": id}

    async def conversation(self, turns: int, first: int = 0) -> None:
        """The same by way of a conversation, which has each turn's two items once in the end."""
        made = await call(self._server(first), "/v1/conversations", {})
        if made.status != 200:
            self.faults[f"failed: a conversation was answered {made.status}"] += 1
            return
        id = made.json["id"]
        for turn in range(turns):
            if not await self._turn(self._server(first + turn), {"conversation": id}, 2 * turn + 1):
                return
        listed = await get(self._server(first + 1), f"/v1/conversations/{id}/items?limit=100")
        if (held := len(listed.json.get("data", ()))) != 2 * turns:
            kind = "lost" if held < 2 * turns else "doubled"
            self.faults[f"{kind}: items of a conversation"] += 1

    def _server(self, number: int) -> Server:
        return self.servers[number % len(self.servers)]

    async def _turn(self, server: Server, more: dict[str, object], messages: int) -> str:
        """The id of the response; "" where it failed."""
        self.turns += 1
        made = await call(server, PATH, {"model": MODEL, "input": "How many?", **more})
        if made.status != 200:
            self.faults[f"failed: a turn: {made.why or _told(made)}"] += 1
            return ""
        response = made.json
        if (said := response["output"][0]["content"][0]["text"]) != str(messages):
            self.faults["lost: a turn went without what came before"] += 1
            assert said  # the server's count, to be seen in a debugger
        if response["store"]:
            self.stored.append(response["id"])
        id: str = response["id"]
        return id

    async def wait_until_stored(self, seconds: float) -> None:
        """Until the newest is found by each process, or the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.stored:
            newest = [await get(server, f"{PATH}/{self.stored[-1]}") for server in self.servers]
            if all(made.status == 200 for made in newest):
                return
            await asyncio.sleep(0.5)

    async def check(self) -> Counter[str]:
        """All faults: those so far, and each acknowledged response that is not found everywhere."""
        found = Counter(self.faults)
        for number, id in enumerate(self.stored):
            made = await get(self._server(number), f"{PATH}/{id}")
            if made.status != 200:
                found[f"lost: a stored response is answered {made.status}"] += 1
        return found


def _told(made: Made) -> str:
    return f"status {made.status}, {made.json['error'].get('code')}"
