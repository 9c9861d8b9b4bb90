"""The prober with a real database and real servers, round for round."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connections
from django.db.models import F

from providers import catalog, discovery
from providers.catalog import Catalog
from providers.homes import LEAST_HOMES, NOTHING_USED, Prefix, Usage
from providers.models import Health, Lease, Process, Provider
from providers.observed import Lookout, Observed, Report, State
from providers.probing import Prober
from providers.probing.prober import REPORT_SECONDS
from tests.clock import Clock
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.scripted_vllm import ScriptedVllm

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.anyio]

T = TypeVar("T")
PROBE_SECONDS = 0.01


class OneOfMany:
    """A process of the installation, as far as it probes: its rounds are the test's to make, and
    so is its time. The database's goes on, so a lease lasts longer than any test."""

    def __init__(self) -> None:
        self.catalog, self.lookout, self.clock = Catalog(), Lookout(), Clock()
        self.reports: dict[Any, Report] = {}
        self.usage = NOTHING_USED
        self.database_is_away = False
        self.asked_anew: list[UUID] = []
        self.prober = Prober(
            self.catalog,
            self.lookout,
            lambda: self.reports,
            lambda: self.usage,
            discovery.fetch(),
            probe_seconds=PROBE_SECONDS,
            ask_anew=self.asked_anew.append,
            lease_seconds=NEVER_SECONDS,
            clock=self.clock,
        )

    @property
    def observed(self) -> Observed:
        return self.lookout.current()

    async def in_database(self, work: Callable[..., T], *arguments: object) -> T:
        if self.database_is_away:
            raise OperationalError("away")
        return await sync_to_async(work)(*arguments)

    async def round(self) -> None:
        """Whatever this process looks at from time to time, it looks at now."""
        self.clock.let_pass(2 * PROBE_SECONDS)
        self.catalog.publish(await sync_to_async(catalog.load)())
        with contextlib.suppress(OperationalError):
            await self.prober.exchange(self.in_database)
        await self.prober.look_around()

    async def looks_have_ended(self) -> None:
        await asyncio.gather(*self.prober._looking)

    async def until(self, holds: Callable[[], object]) -> None:
        """Round after round. TimeoutError if it never holds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.round()
            while not holds():
                await asyncio.sleep(0.005)
                await self.round()

    async def goes_on(self) -> None:
        """Some rounds, with the looks that begin in them."""
        for _ in range(5):
            await self.round()
            await self.looks_have_ended()

    def is_without_the_database(self) -> None:
        """For longer than a lease lasts."""
        self.database_is_away = True
        self.clock.let_pass(NEVER_SECONDS)

    async def sees(self, row: Provider, state: State) -> None:
        await self.until(lambda: self.observed.of(row.pk).state is state)


@pytest.fixture(autouse=True)
async def no_connection_is_left() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
async def one() -> AsyncIterator[OneOfMany]:
    process = OneOfMany()
    yield process
    process.database_is_away = False
    await process.prober.stop(process.in_database)


@pytest.fixture
async def two() -> AsyncIterator[OneOfMany]:
    process = OneOfMany()
    yield process
    process.database_is_away = False
    await process.prober.stop(process.in_database)


@pytest.fixture
def row(vllm: ScriptedVllm) -> Provider:
    return Provider.objects.create(name="a", base_url=vllm.url)


async def test_a_server_is_found_well_with_its_load(one, row, vllm):
    vllm.load = (3, 2)
    began = one.clock()
    await one.sees(row, State.HEALTHY)
    await one.round()

    seen, kept = one.observed.of(row.pk), await Health.objects.aget()
    assert (seen.running, seen.waiting, seen.recovered) == (3, 2, 0)
    assert (kept.state, kept.running, kept.waiting) == ("healthy", 3, 2)
    assert began <= seen.looked <= one.clock()


async def test_it_is_asked_again_and_again(one, row, vllm):
    await one.until(lambda: len(vllm.probes) >= 6)
    assert [asked.path for asked in vllm.probes[:4]] == ["/health", "/metrics"] * 2


async def test_one_process_probes_and_the_other_knows(one, two, row, vllm):
    vllm.load = (5, 0)
    await one.sees(row, State.HEALTHY)
    await one.until(lambda: len(vllm.probes) > 4)
    await one.looks_have_ended()
    await one.prober.exchange(one.in_database)
    asked = len(vllm.probes)

    await two.sees(row, State.HEALTHY)
    await two.goes_on()

    assert len(vllm.probes) == asked
    assert two.observed.of(row.pk).running == 5
    assert two.observed.processes == 2


async def test_when_the_one_that_probes_dies_the_other_goes_on_from_there(one, two, row, vllm):
    vllm.health.will_answer(503)
    await one.sees(row, State.UNHEALTHY)
    await one.sees(row, State.HEALTHY)
    await one.round()
    await two.sees(row, State.HEALTHY)
    since = (await Health.objects.aget()).since
    await Lease.objects.aupdate(until=F("until") - timedelta(seconds=NEVER_SECONDS))
    asked = len(vllm.probes)

    await two.until(lambda: len(vllm.probes) > asked)
    await two.sees(row, State.HEALTHY)

    assert two.observed.of(row.pk).recovered == 1
    assert (await Health.objects.aget()).since == since


async def test_one_that_stops_leaves_the_lease_and_no_trace(one, two, row, vllm):
    await one.sees(row, State.HEALTHY)
    await one.prober.stop(one.in_database)
    assert await Process.objects.acount() == 0
    asked = len(vllm.probes)

    await two.until(lambda: len(vllm.probes) > asked)


async def test_without_the_database_each_process_looks_for_itself(one, two, row, vllm):
    await one.sees(row, State.HEALTHY)
    await one.round()
    await two.sees(row, State.HEALTHY)
    two.is_without_the_database()
    vllm.health.will_answer(503, always=True)

    await two.sees(row, State.UNHEALTHY)


async def test_with_the_database_back_only_one_looks(one, two, row, vllm):
    two.is_without_the_database()
    await two.sees(row, State.HEALTHY)
    await one.sees(row, State.HEALTHY)
    two.database_is_away = False
    await two.round()
    await one.looks_have_ended()
    await two.looks_have_ended()
    asked = len(vllm.probes)
    await two.goes_on()

    assert len(vllm.probes) == asked


async def test_a_server_that_recovers_says_so(one, row, vllm):
    vllm.stop()
    await one.sees(row, State.UNHEALTHY)
    assert "refused" in one.observed.of(row.pk).reason
    vllm.start()
    await one.sees(row, State.HEALTHY)

    assert one.observed.of(row.pk).recovered == 1


async def test_a_server_that_is_reached_otherwise_begins_anew(one, row, vllm):
    vllm.health.will_answer(503, always=True)
    await one.sees(row, State.UNHEALTHY)
    with ScriptedVllm() as other:
        row.base_url = other.url
        await row.asave()
        await one.sees(row, State.HEALTHY)

        assert other.probes
        assert one.observed.of(row.pk).recovered == 0


async def test_an_answer_that_comes_after_the_row_changed_says_nothing_of_it(one, row, vllm):
    vllm.health.will_send(b"", b"HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n", pause_seconds=0.2)
    await one.until(lambda: vllm.probes)
    late = set(one.prober._looking)
    with ScriptedVllm() as other:
        row.base_url = other.url
        await row.asave()
        await one.sees(row, State.HEALTHY)
        await asyncio.gather(*late)
        await one.round()

        assert one.observed.of(row.pk).state is State.HEALTHY


async def test_a_provider_that_is_gone_is_forgotten(one, row, vllm):
    await one.sees(row, State.HEALTHY)
    await Provider.objects.all().adelete()
    await one.until(lambda: not one.observed.servers)
    await one.looks_have_ended()
    asked = len(vllm.probes)
    await one.goes_on()

    assert len(vllm.probes) == asked


async def test_reports_of_the_process_are_written(one, row):
    one.reports = {row.pk: Report(in_flight=2, state="open", reason="it fails")}
    await one.round()

    kept = await Process.objects.aget()
    assert kept.reports[str(row.pk)]["in_flight"] == 2


PREFIX = 7
CROWD = [uuid4() for _ in range(20)]


def used(server: UUID) -> Usage:
    weights = dict.fromkeys([server, *CROWD], 1.0)
    return Usage({server: 5.0, CROWD[0]: 500.0}, {PREFIX: Prefix(5.0, weights)})


async def test_all_processes_go_by_one_plan_of_what_all_of_them_sent(one, two, row):
    one.usage, two.usage = used(row.pk), used(row.pk)
    await one.until(lambda: one.observed.homes.of)
    await two.until(lambda: two.observed.homes.of)
    for process in (two, one):
        process.clock.let_pass(REPORT_SECONDS)
        await process.round()
    await two.until(lambda: two.observed.homes.recent[row.pk] == 10.0)
    await one.round()

    assert two.observed.homes == one.observed.homes
    assert len(one.observed.homes.of[PREFIX]) == LEAST_HOMES


async def test_without_the_database_homes_stay_and_each_goes_by_its_own_calls(one, row):
    one.usage = used(row.pk)
    await one.until(lambda: one.observed.homes.recent)
    homes = one.observed.homes.of
    one.is_without_the_database()

    await one.until(lambda: not one.observed.homes.recent)
    assert one.observed.homes.of == homes != {}


async def test_a_turn_is_one_line_in_the_log(one, row, vllm, caplog):
    with caplog.at_level(logging.INFO, "aurora.probing"):
        await one.sees(row, State.HEALTHY)
        vllm.health.will_answer(503)
        vllm.health.will_answer(503)
        await one.sees(row, State.UNHEALTHY)
        await one.sees(row, State.HEALTHY)

    assert [record.getMessage() for record in caplog.records] == [
        "provider a is unhealthy: It answers /health with HTTP 503.",
        "provider a is healthy",
    ]


async def test_what_has_not_changed_is_not_told_again(one, two, row, vllm):
    """Calls go by what they had under way at the time of the look."""
    await one.sees(row, State.HEALTHY)
    await one.prober.exchange(one.in_database)
    await two.sees(row, State.HEALTHY)
    told = two.observed
    await two.round()
    assert two.observed is told


async def test_a_server_that_is_well_again_is_asked_what_it_serves(one, row, vllm):
    """It may have been started with another model."""
    await one.sees(row, State.HEALTHY)
    assert one.asked_anew == []
    vllm.will_refuse()
    await one.sees(row, State.UNHEALTHY)
    assert one.asked_anew == []

    vllm.start()
    await one.sees(row, State.HEALTHY)

    assert one.asked_anew == [row.pk]
