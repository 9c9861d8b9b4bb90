"""A background response seen from another process than the one that generates it, and after it."""

from __future__ import annotations

import json

import pytest
from django.db.models.functions import Now

from gateway.models import StoredResponse
from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import (
    RESPONSES,
    create,
    events_of,
    native_stream,
    next_event,
    numbers,
    show,
    status_of,
    streamed_by,
    wait_for_status,
)
from tests.gateway.state.stores import without_responses
from tests.mounted import MountedGateway, error_of, request
from tests.processes import eventually
from tests.raw_http import RawClient

TEXTS = [f"{number} " for number in range(30)]


def rest_of(client: RawClient) -> bytes:
    """The body of a stream whose head has been read."""
    return b"".join(iter(client.read_chunk, b""))


@pytest.fixture
def elsewhere(mount, vllm, way, stateful) -> MountedGateway:
    """Another process on the same database. It cannot reach the server."""
    return mount(server(vllm, way, "nothing"))


def resumed(gateway: MountedGateway, id: str, query: str = "stream=true") -> RawClient:
    client = gateway.connect()
    client.send(request("GET", f"{RESPONSES}/{id}?{query}"))
    client.read_head()
    return client


def test_both_see_the_same_events_with_the_same_numbers(stateful, elsewhere, vllm, way):
    vllm.will_stream(*streamed_by(way, *TEXTS), pause_seconds=0.005)
    id = stateful.post(RESPONSES, create(background=True)).json["id"]

    there = rest_of(resumed(elsewhere, id))
    here = show(stateful, f"{id}?stream=true").body

    assert there == here
    assert numbers(here) == list(range(len(numbers(here))))
    assert [event["delta"] for event in events_of(here) if "text.delta" in event["type"]] == TEXTS
    assert len(vllm.received) == 1


@pytest.mark.parametrize("after", [0, 3, 10, 34])
@pytest.mark.parametrize("place", ["here", "there"])
def test_a_stream_goes_on_exactly_after_a_number(stateful, elsewhere, vllm, way, *, after, place):
    vllm.will_stream(*streamed_by(way, *TEXTS))
    whole = stateful.post(RESPONSES, create(background=True, stream=True)).body
    id = events_of(whole)[0]["response"]["id"]
    gateway = stateful if place == "here" else elsewhere

    rest = show(gateway, f"{id}?stream=true&starting_after={after}").body

    assert events_of(rest) == events_of(whole)[after + 1 :]


def test_whoever_reads_slowly_gets_from_the_database_what_memory_has_let_go(stateful, vllm, way):
    vllm.will_stall(after_chunks=streamed_by(way, *TEXTS)[:-3])
    id = stateful.post(RESPONSES, create(background=True)).json["id"]
    client = resumed(stateful, id)
    seen = [next_event(client, "response.created")["sequence_number"]]
    wait_for_status(stateful, id, "in_progress")
    run = next(iter(stateful._gateway._runs._runs.values()))
    eventually(lambda: not run.has_news)

    late = resumed(stateful, id, "stream=true&starting_after=2")
    seen += [next_event(late, "response.output_text.delta")["sequence_number"]]
    assert seen[0] == 0
    assert seen[1] > 2
    stateful.call("DELETE", f"{RESPONSES}/{id}")
    client.close()
    late.close()


def test_it_is_cancelled_from_elsewhere(stateful, elsewhere, vllm, way):
    vllm.will_stall(after_chunks=streamed_by(way, "Hi")[:3])
    id = stateful.post(RESPONSES, create(background=True)).json["id"]
    vllm.wait_until_received()

    cancelled = elsewhere.call("POST", f"{RESPONSES}/{id}/cancel")

    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    vllm.wait_until_left()
    assert status_of(stateful, id) == "cancelled"


def test_it_is_deleted_from_elsewhere(stateful, elsewhere, vllm, way):
    vllm.will_stall(after_chunks=streamed_by(way, "Hi")[:3])
    id = stateful.post(RESPONSES, create(background=True)).json["id"]
    vllm.wait_until_received()

    elsewhere.call("DELETE", f"{RESPONSES}/{id}")

    vllm.wait_until_left()
    assert show(stateful, id).status == 404


def test_a_process_that_stops_fails_what_it_generates(stateful, elsewhere, vllm, way):
    vllm.will_stall(after_chunks=streamed_by(way, "Hi")[:3])
    client = stateful.connect()
    client.send(
        request("POST", RESPONSES, json.dumps(create(background=True, stream=True)).encode())
    )
    client.read_head()
    id = next_event(client, "response.created")["response"]["id"]

    stateful.stop_runs()

    assert next_event(client, "response.failed")["response"]["id"] == id
    failed = show(elsewhere, id).json
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "server_error"
    assert "stopped" in failed["error"]["message"]
    refused = stateful.post(RESPONSES, create(background=True))
    assert (refused.status, error_of(refused)["code"]) == (503, "not_ready")


def test_a_client_that_reads_at_a_stopping_process_is_told_so(stateful, elsewhere, vllm, way):
    vllm.will_stall(after_chunks=streamed_by(way, "Hi")[:3])
    id = stateful.post(RESPONSES, create(background=True)).json["id"]
    client = resumed(elsewhere, id)
    last = next_event(client, "response.in_progress")

    elsewhere.stop()

    told = events_of(rest_of(client))[-1]
    assert (told["type"], told["code"]) == ("error", "stopping")
    assert told["sequence_number"] > last["sequence_number"]


class TestInterrupted:
    """A process that is killed says nothing: another one finds its lease over."""

    def test_it_is_failed_with_a_reason_and_its_stream_ends(self, stateful, elsewhere, vllm, way):
        vllm.will_stall(after_chunks=streamed_by(way, "Hi")[:3])
        id = stateful.post(RESPONSES, create(background=True)).json["id"]
        wait_for_status(stateful, id, "in_progress")
        stateful.on_loop(killed(stateful))
        StoredResponse.objects.update(lease_until=Now())
        told = events_of(rest_of(resumed(elsewhere, id)))

        assert told[-1]["type"] == "response.failed"
        assert [event["sequence_number"] for event in told] == list(range(len(told)))
        response = show(elsewhere, id).json
        assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
        assert "stopped" in response["error"]["message"]

    def test_whoever_cancels_it_ends_it_at_once(self, stateful, elsewhere, vllm, way):
        vllm.will_stall(after_chunks=streamed_by(way, "Hi")[:3])
        id = stateful.post(RESPONSES, create(background=True)).json["id"]
        wait_for_status(stateful, id, "in_progress")
        stateful.on_loop(killed(stateful))
        StoredResponse.objects.update(lease_until=Now())

        cancelled = elsewhere.call("POST", f"{RESPONSES}/{id}/cancel")

        assert cancelled.json["status"] in {"cancelled", "failed"}


async def killed(gateway: MountedGateway) -> None:
    """Ends what runs as the end of a process would: nothing more is written."""
    runs = gateway._gateway._runs
    for task in [*runs._tasks, *runs._working.values()]:
        task.cancel()


def test_a_database_that_fails_meanwhile_costs_nothing(native, vllm):
    """What was told meanwhile is kept once it is back."""
    vllm.will_stream(*native_stream(*TEXTS), pause_seconds=0.005)
    id = native.post(RESPONSES, create(background=True)).json["id"]
    client = resumed(native, id)
    next_event(client, "response.output_text.delta")
    with without_responses():
        for _ in range(10):
            next_event(client, "response.output_text.delta")
    assert next_event(client, "response.completed")
    client.close()

    wait_for_status(native, id, "completed")
    assert numbers(show(native, f"{id}?stream=true").body) == list(range(len(TEXTS) + 5))


def test_a_database_that_fails_at_the_end_holds_nobody_up(native, vllm):
    vllm.will_stream(*native_stream("a", "b"), pause_seconds=0.05)
    id = native.post(RESPONSES, create(background=True)).json["id"]
    client = resumed(native, id)
    next_event(client)
    with without_responses():
        assert next_event(client, "response.completed")
        client.close()

    assert wait_for_status(native, id, "completed")["output"]
