"""The trials notice what fails, is lost or is doubled: held against servers that do wrong."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench import mock
from bench.client import Server
from bench.torture.link import open_link
from bench.torture.mutations import requests
from bench.torture.report import markdown
from bench.torture.result import Result
from bench.torture.servers import Fleet, open_fleet
from bench.torture.threads import Threads
from bench.torture.traffic import CHAT, CHAT_PATH, Traffic, call, get

pytestmark = pytest.mark.anyio

DELAY_SECONDS = 0.05


def first_of(fleet: Fleet) -> Server:
    return Server("mock", int(fleet.urls[0].rpartition(":")[2].removesuffix("/v1")), mock.MODEL)


class Asked:
    """Tells traffic where its calls go; `enough` is set once it has been asked so many `times`."""

    def __init__(self, server: Server, *, times: int) -> None:
        self._server, self._left = server, itertools.count(times - 1, -1)
        self.enough = asyncio.Event()

    def server(self) -> Server:
        if next(self._left) == 0:
            self.enough.set()
        return self._server


class Forgetful:
    """Answers turns of threads. It `forgets` what came before, and every stored response."""

    def __init__(self, *, forgets: bool) -> None:
        self._forgets, self._turns = forgets, itertools.count()

    def answer(self, head: bytes) -> bytes:
        if head.startswith(b"POST"):
            turn = next(self._turns)
            messages = "1" if self._forgets else str(2 * turn + 1)
            output = [{"content": [{"text": messages}]}]
            made = {"id": f"resp_{turn}", "store": True, "output": output}
            return mock.answer(json.dumps(made).encode())
        return mock.answer(b"{}", "404 Not Found" if self._forgets else "200 OK")

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Server]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(self.answer(await reader.readuntil(b"\r\n\r\n")))
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            yield Server("forgetful", server.sockets[0].getsockname()[1], mock.MODEL)


async def test_a_server_counts_each_call_by_its_request_id() -> None:
    async with open_fleet(1) as fleet:
        for _ in range(2):
            await call(first_of(fleet), CHAT_PATH, CHAT, "one")
        streamed = await call(first_of(fleet), CHAT_PATH, {**CHAT, "stream": True}, "two")

    assert fleet.executed == Counter(one=2, two=1)
    assert b'"content":"1"' in streamed.body
    assert b"data: [DONE]" in streamed.body


async def test_traffic_that_is_answered_has_no_fault() -> None:
    async with open_fleet(1) as fleet:
        asked = Asked(first_of(fleet), times=8)
        async with Traffic(asked.server, callers=2) as traffic:
            await asked.enough.wait()

    assert traffic.faults == {}
    assert traffic.check_executed(fleet) == {}


async def test_traffic_that_is_refused_is_a_fault() -> None:
    async with open_fleet(1) as fleet:
        asked = Asked(first_of(fleet), times=2)
    async with Traffic(asked.server, callers=1) as traffic:
        await asked.enough.wait()

    assert set(traffic.faults) == {"failed: ConnectionRefusedError"}


async def test_a_call_that_was_executed_more_often_than_told_is_doubled() -> None:
    fleet = Fleet(Counter(once=1, twice=2, retried=2))
    traffic = Traffic(lambda: Server("none", 1, ""))
    traffic.attempts = {"once": 1, "twice": 1, "retried": 2, "nowhere": 1}

    assert traffic.check_executed(fleet) == {
        "doubled: executed more often than told": 1,
        "lost: told, but executed nowhere": 1,
    }


async def test_a_chain_that_goes_on_has_no_fault() -> None:
    async with Forgetful(forgets=False).serve() as server:
        threads = Threads([server])
        await threads.chain(3)

        assert await threads.check() == {}
    assert len(threads.stored) == 3


async def test_a_turn_that_lacks_the_one_before_is_lost_and_so_is_what_is_not_found() -> None:
    async with Forgetful(forgets=True).serve() as server:
        threads = Threads([server])
        await threads.chain(3)

        assert await threads.check() == {
            "lost: a turn went without what came before": 2,
            "lost: a stored response is answered 404": 3,
        }


async def test_a_link_takes_its_time_in_each_direction() -> None:
    async with open_fleet(1) as fleet:
        port = first_of(fleet).port
        async with open_link("127.0.0.1", port, DELAY_SECONDS) as link:
            began = time.monotonic()
            made = await get(Server("mock", link.port, mock.MODEL), "/health")

    assert made.status == 200
    assert time.monotonic() - began >= 2 * DELAY_SECONDS


async def test_a_link_that_is_cut_lets_nobody_through_until_it_is_mended() -> None:
    async with open_fleet(1) as fleet, open_link("127.0.0.1", first_of(fleet).port) as link:
        server = Server("mock", link.port, mock.MODEL)
        link.cut()
        cut = await get(server, "/health")
        link.mend()
        mended = await get(server, "/health")

    assert (cut.status, mended.status) == (0, 200)


def test_the_same_seed_makes_the_same_wrong_requests() -> None:
    first, again, other = (
        [request for request, _ in zip(requests(seed, "key"), range(200), strict=False)]
        for seed in (1, 1, 2)
    )

    assert first == again != other
    assert len(set(first)) > 150


def test_the_report_says_what_was_tried_and_what_was_wrong() -> None:
    good, bad = Result(), Result(faults=Counter({"lost: a response": 2}))
    good.add("calls", 12_345)

    assert markdown({"edits": good, "kills": bad}).splitlines()[2:] == [
        "| edits | calls: 12,345 | 0 |",
        "| kills |  | **2** lost: a response |",
    ]
