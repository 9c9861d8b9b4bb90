"""What is known of a server decides whether it is asked: by the prober, and by its calls."""

from __future__ import annotations

import msgspec
import pytest

from gateway.fleet.breaker import FIRST_OPEN_SECONDS, MOST_IN_A_ROW
from providers.observed import Observation, Observed, State
from tests.gateway.failover.conftest import Fleet
from tests.mounted import CHAT, MODEL, error_of, request
from tests.scripting import Script, json_answer

ONE = f"one/{MODEL}"


@pytest.mark.parametrize("state", [State.UNHEALTHY, State.MISCONFIGURED])
def test_a_server_that_probes_find_unwell_gets_no_call(fleet: Fleet, state: State) -> None:
    fleet.observe("one", state)

    assert fleet.chat().headers["x-aurora-provider"] == "two"
    assert fleet.calls == (0, 1)


@pytest.mark.parametrize("state", [State.UNKNOWN, State.HEALTHY, State.DEGRADED])
def test_any_other_does(fleet: Fleet, state: State) -> None:
    fleet.observe("one", state)

    assert fleet.chat().headers["x-aurora-provider"] == "one"


def test_where_nobody_else_is_left_it_is_asked_all_the_same(fleet: Fleet) -> None:
    fleet.observe("one", State.UNHEALTHY)

    assert fleet.chat(ONE).status == 200


@pytest.mark.parametrize("why", ["probes find all unwell", "all want to be left alone"])
def test_where_all_are_alike_none_of_them_gets_all_calls(fleet: Fleet, why: str) -> None:
    if why == "probes find all unwell":
        ids = [entry.id for entry in fleet.entries.values()]
        fleet.gateway.lookout.publish(
            Observed(dict.fromkeys(ids, Observation(State.MISCONFIGURED)))
        )
    else:
        for server in (fleet.one, fleet.two):
            server.will_answer(429, [("Retry-After", "30")])
        assert fleet.chat().status == 429
    before = fleet.calls

    for number in range(20):
        hello = [{"role": "user", "content": f"Hello {number}"}]
        assert fleet.chat(MODEL, messages=hello).status == 200

    assert all(now > then for now, then in zip(fleet.calls, before, strict=True))


def test_a_server_that_fails_in_a_row_gets_no_more_calls(fleet: Fleet) -> None:
    fleet.one.will_answer(503, always=True)

    answers = [fleet.chat() for _ in range(8)]

    assert {answer.status for answer in answers} == {200}
    assert len(fleet.one.received) == 5
    report = fleet.gateway.fleet.reports()[fleet.entries["one"].id]
    assert (report.state, report.reason) == ("open", "it answered HTTP 503, failing")


def test_the_prober_brings_its_calls_back(fleet: Fleet) -> None:
    fleet.observe("one", State.UNHEALTHY, recovered=0)
    fleet.one.will_refuse()
    for _ in range(6):
        assert fleet.chat(ONE).status in {502, 503}
    fleet.one.start()
    assert fleet.chat(ONE).status == 503, "its breaker is open"

    fleet.observe("one", State.HEALTHY, recovered=1)

    assert [fleet.chat().headers["x-aurora-provider"] for _ in range(3)] == ["one"] * 3


def test_while_the_only_server_is_cut_off_calls_are_told_at_once(fleet: Fleet) -> None:
    fleet.only()
    fleet.one.will_refuse()
    while (answer := fleet.chat(ONE)).status == 502:
        pass

    assert (answer.status, error_of(answer)["code"]) == (503, "no_server")
    assert "upstream_unreachable" in error_of(answer)["message"]
    assert 1 <= int(answer.headers["retry-after"]) <= 3
    assert "x-aurora-attempts" not in answer.headers


def test_while_it_is_tried_the_others_are_told_to_come_back_soon(fleet: Fleet) -> None:
    fleet.only()
    fleet.one.answers = lambda _: Script((json_answer(503, {}),))
    while fleet.chat(ONE).headers.get("x-aurora-attempts"):
        pass
    fleet.clock.seconds += FIRST_OPEN_SECONDS * 1.25
    before = len(fleet.one.received)
    fleet.one.will_stall()
    trial = fleet.gateway.connect()
    trial.send(request("POST", CHAT, msgspec.json.encode({"model": ONE})))
    fleet.one.wait_until_received(before + 1)

    answer = fleet.chat(ONE)

    trial.close()
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) <= 2


def test_a_new_address_or_key_begins_anew(fleet: Fleet) -> None:
    fleet.one.required_key = "another"
    fleet.publish()
    assert fleet.chat().headers["x-aurora-provider"] == "two"
    assert fleet.chat().headers["x-aurora-provider"] == "two"
    assert fleet.calls == (1, 2), "a refused key is not tried again and again"

    fleet.publish(key="another")

    assert fleet.chat().headers["x-aurora-provider"] == "one"


def test_a_server_that_tells_its_metrics_may_fail_all_calls_the_same(fleet: Fleet) -> None:
    """Whoever scrapes it through Aurora brings no call back to it, nor keeps its breaker closed."""
    fleet.one.answers = lambda _: Script((json_answer(503, {}),))
    for _ in range(2 * MOST_IN_A_ROW):
        assert fleet.gateway.call("GET", "/p/one/metrics").status == 200
        assert fleet.chat().status == 200

    assert len(fleet.one.received) == MOST_IN_A_ROW
    assert len(fleet.one.probes) == 2 * MOST_IN_A_ROW


def test_nor_do_calls_that_look_after_a_server_shut_it(fleet: Fleet) -> None:
    fleet.publish(passthrough="control")
    fleet.one.answers = lambda _: Script((json_answer(503, {}),))
    for _ in range(MOST_IN_A_ROW):
        assert fleet.gateway.call("POST", "/p/one/sleep").status == 503
    fleet.one.answers = None

    assert fleet.chat().headers["x-aurora-provider"] == "one"
