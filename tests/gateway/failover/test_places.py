"""Caps, waiting in line, and draining."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from gateway.routing import Settings
from providers import addresses
from providers.observed import State
from providers.snapshot import AliasEntry, TargetEntry
from tests.gateway.failover.conftest import NAME, OTHER_KEY, Fleet
from tests.mounted import CHAT, MODEL, error_of, provider, request
from tests.patience import PATIENCE_SECONDS
from tests.processes import eventually
from tests.raw_http import Answer, RawClient
from tests.scripted_vllm import ScriptedVllm

ONE = f"one/{MODEL}"
SHORT_PATIENCE = pytest.mark.parametrize("options", [{"pools": Settings(queue_seconds=30.0)}])


def hold(fleet: Fleet, elsewhere: ThreadPoolExecutor, server: ScriptedVllm) -> Future[Answer]:
    """A call under way at `server`, until that is told to go on."""
    server.will_stream(b"data: 1\n\n", held_after=0)
    before = len(server.received)
    held = elsewhere.submit(fleet.chat, stream=True)
    server.wait_until_received(before + 1)
    return held


def test_a_call_over_the_cap_waits_for_the_one_before_it(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    fleet.publish(max_concurrency=1)
    held = hold(fleet, elsewhere, fleet.one)
    waits = elsewhere.submit(fleet.chat)
    eventually(lambda: waiting(fleet) == 1)
    assert not waits.done()

    fleet.one.go_on()

    assert held.result(PATIENCE_SECONDS).status == 200
    answer = waits.result(PATIENCE_SECONDS)
    assert (answer.status, answer.headers["x-aurora-provider"]) == (200, "one")
    assert fleet.calls == (2, 0), "the second tier is for when the first has no usable server"


@SHORT_PATIENCE
def test_who_has_waited_for_long_enough_goes_to_the_next_tier(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    fleet.publish(max_concurrency=1)
    hold(fleet, elsewhere, fleet.one)
    waits = elsewhere.submit(fleet.chat)
    eventually(lambda: waiting(fleet) == 1)

    fleet.clock.seconds += 31

    assert waits.result(PATIENCE_SECONDS).headers["x-aurora-provider"] == "two"


@SHORT_PATIENCE
def test_where_there_is_no_next_tier_it_is_429(fleet: Fleet, elsewhere: ThreadPoolExecutor) -> None:
    fleet.publish(max_concurrency=1)
    hold(fleet, elsewhere, fleet.one)
    waits = elsewhere.submit(fleet.chat, ONE)
    eventually(lambda: waiting(fleet) == 1)

    fleet.clock.seconds += 31

    answer = waits.result(PATIENCE_SECONDS)

    assert (answer.status, error_of(answer)["code"]) == (429, "servers_busy")
    assert error_of(answer)["type"] == "rate_limit_error"
    assert answer.headers["retry-after"] == "1"


def test_so_it_is_where_probes_find_unwell_the_one_that_has_no_room(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    fleet.publish(max_concurrency=1)
    fleet.observe("one", State.UNHEALTHY)
    held = stalled(fleet, fleet.one, ONE)

    answer = fleet.chat(ONE)

    assert (answer.status, error_of(answer)["code"]) == (429, "servers_busy")
    held.close()


@pytest.mark.parametrize("options", [{"pools": Settings(queue_calls=0)}])
def test_with_no_line_nobody_waits(fleet: Fleet, elsewhere: ThreadPoolExecutor) -> None:
    fleet.publish(max_concurrency=1)
    held = hold(fleet, elsewhere, fleet.one)

    assert fleet.chat(ONE).status == 429
    assert not held.done()


@pytest.mark.parametrize("alias", [{"queue_calls": 0}, {"queue_seconds": 0.0}])
def test_an_alias_has_a_say_in_how_long_its_calls_wait(
    fleet: Fleet, elsewhere: ThreadPoolExecutor, alias: dict[str, Any]
) -> None:
    fleet.publish(max_concurrency=1, alias=alias)
    held = hold(fleet, elsewhere, fleet.one)

    assert fleet.chat().headers["x-aurora-provider"] == "two"
    assert not held.done()


def stalled(fleet: Fleet, server: ScriptedVllm, model: str) -> RawClient:
    """Who has a call under way at `server`, until it leaves."""
    server.will_stall()
    before, client = len(server.received), fleet.gateway.connect()
    client.send(request("POST", CHAT, msgspec.json.encode({"model": model})))
    server.wait_until_received(before + 1)
    return client


@pytest.mark.parametrize("options", [{"pools": Settings(queue_calls=1)}])
def test_nobody_stands_behind_a_call_that_waits_for_another_server(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    """The line is full of one that has failed at the server that has room."""
    full = replace(fleet.entries["two"], max_concurrency=1)
    fleet.gateway.publish(fleet.entries["one"], full)
    held = stalled(fleet, fleet.two, f"two/{MODEL}")
    fleet.one.will_answer(503)
    waits = elsewhere.submit(fleet.chat, MODEL)
    eventually(lambda: waiting(fleet) == 1)

    assert fleet.chat(MODEL).headers["x-aurora-provider"] == "one"

    assert not waits.done()
    held.close()
    assert waits.result(PATIENCE_SECONDS).headers["x-aurora-provider"] == "two"


def test_a_call_that_waits_goes_where_the_server_is_by_then(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    fleet.only(max_concurrency=1)
    stalled(fleet, fleet.one, ONE)
    waits = elsewhere.submit(fleet.chat, ONE)
    eventually(lambda: waiting(fleet) == 1)

    (entry,) = fleet.gateway.catalog.current().providers.values()
    moved = replace(entry, address=addresses.parse(fleet.two.url), max_concurrency=2)
    fleet.gateway.publish(moved)

    assert waits.result(PATIENCE_SECONDS).status == 200
    assert fleet.calls == (1, 1)


@pytest.mark.parametrize("change", ["the model has left the server", "the alias leads elsewhere"])
def test_a_call_that_waits_goes_where_its_model_is_by_then(
    fleet: Fleet, elsewhere: ThreadPoolExecutor, change: str
) -> None:
    fleet.publish(max_concurrency=1)
    held = stalled(fleet, fleet.one, ONE)
    waits = elsewhere.submit(fleet.chat)
    eventually(lambda: waiting(fleet) == 1)

    one, two = fleet.entries.values()
    targets: tuple[TargetEntry, ...] = (TargetEntry("one", MODEL), TargetEntry("two", MODEL))
    if change == "the model has left the server":
        one = replace(one, models=MappingProxyType({"another": {"id": "another"}}))
    else:
        targets = targets[1:]
    aliases = [AliasEntry(NAME, (targets[:1], targets[1:]))]
    fleet.gateway.publish(one, two, aliases=aliases)
    held.close()

    assert waits.result(PATIENCE_SECONDS).headers["x-aurora-provider"] == "two"
    assert fleet.calls == (1, 1)


def test_who_waits_for_a_model_that_is_gone_is_told_so(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    fleet.publish(max_concurrency=1)
    stalled(fleet, fleet.one, ONE)
    waits = elsewhere.submit(fleet.chat)
    eventually(lambda: waiting(fleet) == 1)

    fleet.gateway.publish(*fleet.entries.values())

    assert (waits.result(PATIENCE_SECONDS).status, error_of(waits.result())["code"]) == (
        404,
        "model_not_found",
    )
    eventually(lambda: waiting(fleet) == 0)


def test_one_keys_flood_does_not_starve_another(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    """Ten of one key wait; one of another comes last, and is served among the first."""
    fleet.only(max_concurrency=1)
    fleet.one.will_stream(b"data: 1\n\n", held_after=0)
    calls = [elsewhere.submit(fleet.chat, ONE)]
    fleet.one.wait_until_received()
    calls += [elsewhere.submit(fleet.chat, ONE) for _ in range(10)]
    eventually(lambda: waiting(fleet) == 10)
    calls.append(elsewhere.submit(fleet.chat, ONE, key=OTHER_KEY, user="other"))
    eventually(lambda: waiting(fleet) == 11)

    fleet.one.go_on()

    assert {each.result(PATIENCE_SECONDS).status for each in calls} == {200}
    served = [call.json.get("user") for call in fleet.one.received]
    assert served.index("other") <= 4


@pytest.mark.parametrize("options", [{"pools": Settings(queue_calls=2)}])
def test_a_call_that_makes_room_for_another_key_is_told_to_come_again(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    fleet.only(max_concurrency=1)
    held = stalled(fleet, fleet.one, ONE)
    flood = [elsewhere.submit(fleet.chat, ONE) for _ in range(2)]
    eventually(lambda: waiting(fleet) == 2)

    other = elsewhere.submit(fleet.chat, ONE, key=OTHER_KEY)
    displaced = next(as_completed(flood, timeout=PATIENCE_SECONDS)).result()

    assert (displaced.status, error_of(displaced)["code"]) == (429, "servers_busy")
    assert displaced.headers["retry-after"] == "1"
    held.close()
    assert sorted(each.result(PATIENCE_SECONDS).status for each in flood) == [200, 429]
    assert other.result(PATIENCE_SECONDS).status == 200


def waiting(fleet: Fleet) -> int:
    return max((report.waiting for report in fleet.gateway.fleet.reports().values()), default=0)


@pytest.mark.parametrize("alias", [{}, {"policy": "least_loaded"}, {"policy": "random"}])
def test_calls_that_wait_take_the_model_that_they_would_have_taken(
    fleet: Fleet, elsewhere: ThreadPoolExecutor, alias: dict[str, Any]
) -> None:
    one = provider(fleet.one.url, "one", models=("base", "tuned"), max_concurrency=1)
    targets = (TargetEntry("one", "base", weight=1e6), TargetEntry("one", "tuned", weight=1e-6))
    fleet.gateway.publish(one, aliases=[AliasEntry(NAME, (targets,), **alias)])
    held = stalled(fleet, fleet.one, "one/base")
    waits = [elsewhere.submit(fleet.chat) for _ in range(4)]
    eventually(lambda: waiting(fleet) == 4)

    held.close()

    assert [answer.result(PATIENCE_SECONDS).status for answer in waits] == [200] * 4
    assert {call.json["model"] for call in fleet.one.received} == {"base"}


def test_who_leaves_the_line_makes_room_in_it(fleet: Fleet, elsewhere: ThreadPoolExecutor) -> None:
    fleet.only(max_concurrency=1)
    fleet.one.will_stall()
    stalled = fleet.gateway.connect()
    stalled.send(request("POST", CHAT, msgspec.json.encode({"model": ONE})))
    fleet.one.wait_until_received()
    leaver = fleet.gateway.connect()
    leaver.send(request("POST", CHAT, msgspec.json.encode({"model": ONE})))
    eventually(lambda: waiting(fleet) == 1)

    leaver.close()
    eventually(lambda: waiting(fleet) == 0)
    stalled.close()

    assert fleet.chat(ONE).status == 200
    assert len(fleet.one.received) == 2, "the one that left was never sent"


def test_calls_under_way_are_counted_and_all_given_back(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    held = [hold(fleet, elsewhere, fleet.one) for _ in range(3)]

    assert [report.in_flight for report in fleet.gateway.fleet.reports().values()] == [3]
    fleet.one.go_on(len(held))
    for each in held:
        each.result(PATIENCE_SECONDS)
    eventually(lambda: not fleet.gateway.fleet.reports())


# Draining.


def test_a_draining_server_finishes_what_it_has_and_gets_no_more(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    held = hold(fleet, elsewhere, fleet.one)
    fleet.publish(draining=True)

    assert fleet.chat().headers["x-aurora-provider"] == "two"
    fleet.one.go_on()
    assert held.result(PATIENCE_SECONDS).status == 200
    assert held.result().body == b"data: 1\n\n"
    assert fleet.calls == (1, 1)


def test_where_all_drain_it_is_503_with_the_reason(fleet: Fleet) -> None:
    fleet.only(draining=True)

    answer = fleet.chat(ONE)

    assert (answer.status, error_of(answer)["code"]) == (503, "no_server")
    assert "'one' is draining" in error_of(answer)["message"]
    assert answer.headers["retry-after"] == "1"


def test_a_server_of_several_tiers_is_told_of_once(fleet: Fleet) -> None:
    """Else it would be told of in place of others."""
    tiers = ((TargetEntry("one", MODEL),), (TargetEntry("", MODEL),))
    one = replace(fleet.entries["one"], draining=True)
    fleet.gateway.publish(one, aliases=[AliasEntry(NAME, tiers)])

    answer = fleet.chat()

    assert (answer.status, error_of(answer)["code"]) == (503, "no_server")
    assert error_of(answer)["message"].count("'one' is draining") == 1
    assert fleet.gateway.record()["provider"] == "one"


def test_a_draining_server_still_answers_those_who_look_after_it(fleet: Fleet) -> None:
    fleet.only(draining=True, passthrough="control")
    fleet.one.metrics.will_answer(200, body=b"metrics")

    assert fleet.gateway.call("GET", "/p/one/metrics").body == b"metrics"
    through = fleet.gateway.post("/p/one/v1/chat/completions", {"model": MODEL})
    assert (through.status, error_of(through)["code"]) == (503, "no_server")


def test_who_waits_for_a_server_that_begins_to_drain_goes_elsewhere(
    fleet: Fleet, elsewhere: ThreadPoolExecutor
) -> None:
    fleet.publish(max_concurrency=1)
    fleet.one.will_stall()
    stalled = fleet.gateway.connect()
    stalled.send(request("POST", CHAT, msgspec.json.encode({"model": ONE})))
    fleet.one.wait_until_received()
    waits = elsewhere.submit(fleet.chat)
    eventually(lambda: waiting(fleet) == 1)

    fleet.publish(max_concurrency=1, draining=True)

    assert waits.result(PATIENCE_SECONDS).headers["x-aurora-provider"] == "two"
