"""Sessions among the calls of a server: its cap, its drain, its breaker, and which is asked next."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.fleet.breaker import MOST_IN_A_ROW, Breaking
from providers.observed import Observation, Observed, State
from providers.snapshot import AliasEntry, TargetEntry
from tests.mounted import error_of, provider
from tests.realtime_mounted import MODEL, PATH
from tests.scripted_realtime import ScriptedRealtime

pytestmark = pytest.mark.anyio
SPEECH = AliasEntry("speech", tuple((TargetEntry(name, MODEL),) for name in ("alpha", "beta")))
WAYS = [PATH, "/p/alpha/v1/realtime"]


@pytest.mark.parametrize("target", WAYS)
async def test_a_session_takes_one_of_the_places_for_as_long_as_it_lasts(gateway, vllm, target):
    gateway.publish(provider(vllm.url, models=(MODEL,), max_concurrency=1))
    async with gateway.connect(target):
        answer = await gateway.refusal(target)
        assert (answer.status, error_of(answer)["code"]) == (429, "servers_busy")
    while gateway.fleet.reports():  # noqa: ASYNC110 - the session is ending
        await asyncio.sleep(0.01)
    async with gateway.connect(target):
        pass


@pytest.mark.parametrize("target", WAYS)
async def test_so_does_one_that_is_being_opened(gateway, vllm, target):
    gateway.publish(provider(vllm.url, models=(MODEL,), max_concurrency=1))
    vllm.delay.clear()
    opening = asyncio.create_task(gateway.connect(target).__aenter__())
    while not vllm.opened:  # noqa: ASYNC110 - what is waited for is on the wire
        await asyncio.sleep(0.01)

    assert (await gateway.refusal(target)).status == 429

    vllm.delay.set()
    await (await opening).close()


@pytest.mark.parametrize("target", WAYS)
async def test_a_draining_server_gets_no_session(gateway, vllm, target):
    gateway.publish(provider(vllm.url, models=(MODEL,), draining=True))
    answer = await gateway.refusal(target)

    assert (answer.status, error_of(answer)["code"]) == (503, "no_server")
    assert "'alpha' is draining" in error_of(answer)["message"]
    assert vllm.opened == []
    assert (await gateway.record())["provider"] == "alpha"


async def test_a_server_of_several_tiers_is_told_of_once(gateway, vllm):
    tiers = ((TargetEntry("alpha", MODEL),), (TargetEntry("", MODEL),))
    draining = provider(vllm.url, models=(MODEL,), draining=True)
    gateway.publish(draining, aliases=[AliasEntry("speech", tiers)])

    answer = await gateway.refusal("/v1/realtime?model=speech")

    assert error_of(answer)["message"].count("'alpha' is draining") == 1
    assert (await gateway.record())["provider"] == "alpha"


async def test_a_server_that_cannot_be_called_is_told(gateway, vllm):
    gateway.publish(provider(vllm.url, models=(MODEL,), problem="its key cannot be read"))
    answer = await gateway.refusal()

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_error")
    assert "its key cannot be read" in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("answered", "told"),
    [
        ((503, "busy"), 101),
        ((429, "busy"), 101),
        ((401, "no"), 101),
        ((404, ""), 101),
        ((400, "no"), 400),
    ],
)
async def test_another_server_takes_what_the_first_refuses_if_it_may(gateway, vllm, answered, told):
    vllm.refuses = answered
    async with ScriptedRealtime() as second:
        gateway.publish(
            provider(vllm.url, models=(MODEL,)),
            provider(second.url, "beta", models=(MODEL,)),
            aliases=[SPEECH],
        )
        try:
            async with gateway.connect("/v1/realtime?model=speech") as client:
                answer = client.response
        except InvalidStatus as refused:
            answer = refused.response
        record, opened = await gateway.record(), (len(vllm.opened), len(second.opened))
        assert (record["status"], opened) == (told, (1, told == 101))
        assert record["attempts"] == sum(opened)
        assert answer.headers["x-aurora-attempts"] == str(sum(opened))


async def test_a_key_that_is_rotated_while_another_server_is_asked_is_the_one_sent(gateway, vllm):
    vllm.refuses = (503, "busy")
    vllm.delay.clear()
    async with ScriptedRealtime() as second:
        alpha = provider(vllm.url, models=(MODEL,))
        beta = provider(second.url, "beta", models=(MODEL,))
        gateway.publish(alpha, beta, aliases=[SPEECH])
        opening = asyncio.create_task(gateway.connect("/v1/realtime?model=speech").__aenter__())
        while not vllm.opened:  # noqa: ASYNC110 - what is waited for is on the wire
            await asyncio.sleep(0.01)

        gateway.publish(alpha, replace(beta, authorization="Bearer rotated"), aliases=[SPEECH])
        vllm.delay.set()

        await (await opening).close()
        assert second.opened[0].values("authorization") == ["Bearer rotated"]


async def test_an_aliass_weights_count_for_sessions_too(gateway, vllm):
    targets = (TargetEntry("alpha", MODEL, weight=0.1), TargetEntry("beta", MODEL, weight=0.9))
    alpha, beta = (provider(vllm.url, name, models=(MODEL,)) for name in ("alpha", "beta"))
    gateway.publish(alpha, beta, aliases=[AliasEntry("speech", (targets,))])

    async with AsyncExitStack() as stack:
        for _ in range(4):
            session = gateway.connect("/v1/realtime?model=speech")
            client = await stack.enter_async_context(session)
            assert client.response.headers["x-aurora-provider"] == "beta"


async def test_a_well_server_of_the_next_tier_comes_before_an_unwell_one(gateway, vllm):
    alpha, beta = (provider(vllm.url, name, models=(MODEL,)) for name in ("alpha", "beta"))
    gateway.publish(alpha, beta, aliases=[SPEECH])
    gateway.lookout.publish(Observed({alpha.id: Observation(State.UNHEALTHY)}))

    async with gateway.connect("/v1/realtime?model=speech") as client:
        assert client.response.headers["x-aurora-provider"] == "beta"


async def test_a_server_that_breaks_off_a_session_has_failed_a_call(gateway, vllm):
    async def vanish(session):
        session.transport.abort()

    vllm.will(vanish)
    async with gateway.connect() as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
    await gateway.record()
    [sight] = gateway.fleet._sights.values()

    assert (sight.breaker._calls, sight.breaker._failures) == (1, 1)


async def test_a_client_that_leaves_a_trial_lets_another_call_try(gateway, vllm):
    gateway.fleet.look()
    [sight] = gateway.fleet._sights.values()
    for _ in range(MOST_IN_A_ROW):
        sight.breaker.fail(gateway.fleet.now() - 60, sight.breaker.enter(0.0), "it is dead")
    sight.look()
    vllm.delay.clear()
    opening = asyncio.create_task(gateway.connect().__aenter__())
    while not vllm.opened:  # noqa: ASYNC110 - what is waited for is on the wire
        await asyncio.sleep(0.01)
    assert not sight.breaker.admits(gateway.fleet.now())
    opening.cancel()
    await gateway.record()
    vllm.delay.set()

    assert sight.breaker.state is Breaking.HALF_OPEN
    assert sight.breaker.admits(gateway.fleet.now())
