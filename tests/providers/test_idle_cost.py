"""While nothing happens, next to nothing is written, and one process asks for all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext

from providers import catalog, discovery
from providers.asking import Asking, Pace
from providers.catalog import Catalog
from providers.homes import NOTHING_USED
from providers.models import Discovery, Health, Provider
from providers.observed import Lookout, Report
from providers.probing import Prober
from providers.probing.prober import REFRESH_SECONDS
from providers.rechecks import Rechecks
from providers.turns import TurnLog
from tests.clock import Clock
from tests.patience import NEVER_SECONDS
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.anyio]

T = TypeVar("T")
SOME = 5


class Rounds:
    """A prober whose rounds are the test's, and the statements that its exchanges make."""

    def __init__(self, held: Catalog) -> None:
        self.clock, self.statements = Clock(), list[str]()
        self.reports = dict[UUID, Report]()
        self.prober = Prober(
            held,
            Lookout(),
            lambda: self.reports,
            lambda: NOTHING_USED,
            discovery.fetch(),
            probe_seconds=0.01,
            lease_seconds=NEVER_SECONDS,
            clock=self.clock,
        )

    async def in_database(self, work: Callable[..., T], *arguments: object) -> T:
        def done() -> T:
            with CaptureQueriesContext(connection) as captured:
                found = work(*arguments)
            self.statements += [query["sql"] for query in captured]
            return found

        return await sync_to_async(done)()

    async def round(self, seconds: float = 0.02) -> None:
        self.clock.let_pass(seconds)
        await self.prober.exchange(self.in_database)
        await self.prober.look_around()
        for task in list(self.prober._looking):
            await task

    def written(self, model: type) -> list[str]:
        table = model._meta.db_table  # type: ignore[attr-defined]
        return [each for each in self.statements if table in each and not each.startswith("SELECT")]


@pytest.fixture
async def held(vllm: ScriptedVllm) -> Catalog:
    """It knows of one server."""
    await Provider.objects.acreate(name="a", base_url=vllm.url)
    found = Catalog()
    found.publish(await sync_to_async(catalog.load)())
    return found


@pytest.fixture
async def one(held: Catalog):
    process = Rounds(held)
    for _ in range(3):  # it leads, has looked, and has written what it found
        await process.round()
    process.statements.clear()
    yield process
    await process.prober.stop(process.in_database)


async def test_a_server_that_is_as_it_was_is_not_written(one: Rounds, vllm) -> None:
    looks = len(vllm.probes)
    for _ in range(SOME):
        await one.round()
    assert len(vllm.probes) > looks
    assert one.written(Health) == []


async def test_that_somebody_has_looked_is_written_now_and_then(one: Rounds) -> None:
    await one.round(REFRESH_SECONDS)
    await one.round()
    assert len(one.written(Health)) == 1


async def test_another_load_is_written_with_the_next_exchange(one: Rounds, vllm) -> None:
    vllm.load = (3, 1)
    await one.round()
    await one.round()
    assert (await Health.objects.aget()).running == 3


async def test_exchanges_are_rarer_while_nothing_happens(one: Rounds, vllm) -> None:
    await one.round()
    assert one.prober._is_idle
    [server] = [row async for row in Provider.objects.all()]
    one.reports[server.pk] = Report(in_flight=1)
    await one.round()
    assert not one.prober._is_idle


async def guarded(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def ask(asking: Asking) -> None:
    """Those whose time has come, to the end."""
    asking.ask_those_due()
    for task in list(asking._asking):
        await task


def keeper(held: Catalog, rechecks: Rechecks, *, others_ask: bool) -> Asking:
    pace = Pace(usual_seconds=0.0, first_retry_seconds=0.0, recheck_seconds=0.0)
    return Asking(held, rechecks, guarded, pace, turn_log=TurnLog(), others_ask=lambda: others_ask)


async def test_while_another_process_asks_this_one_asks_once_and_where_somebody_wants_it(
    held: Catalog, vllm: ScriptedVllm
) -> None:
    rechecks = Rechecks()
    asking = keeper(held, rechecks, others_ask=True)
    for _ in range(SOME):
        await ask(asking)
    assert len(vllm.discoveries) == 1

    rechecks.want(held.current().providers["a"].id)
    await ask(asking)
    assert len(vllm.discoveries) == 2


async def test_an_answer_that_says_nothing_new_is_kept_later_with_others(
    held: Catalog, vllm: ScriptedVllm
) -> None:
    asking = keeper(held, Rechecks(), others_ask=False)
    await ask(asking)
    await asking.keep()
    first = await Discovery.objects.aget()
    await ask(asking)
    assert not asking._has_answers.is_set()

    vllm.models = ["another"]
    await ask(asking)
    await asking.keep()
    found = await Discovery.objects.aget()
    await asking.thread.close()
    assert found.cards[0]["id"] == "another"
    assert found.asked != first.asked
    assert eventually(lambda: len(vllm.discoveries) == 3)
