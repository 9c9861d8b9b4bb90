"""What bounds the responses that run in the background: each of them, each key's, all together."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from gateway.client import Message, Send
from gateway.errors import NotReady, TooManyInBackground
from gateway.runs import Pace, Run, Runs
from gateway.runs.register import MOST_WAITING_REQUEST_BYTES
from gateway.runs.run import MOST_BATCH_BYTES
from gateway.state.values import Copy
from gateway.translation.responses import final
from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import (
    OTHER_KEY,
    RESPONSES,
    create,
    native_response,
    streamed_by,
)
from tests.gateway.state.stores import RunningStore
from tests.held import counting
from tests.mounted import error_of, request
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.processes import eventually

KIB = 2**10
OWNER = uuid4()
HEAD: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}


def queued(id: str, owner: UUID = OWNER) -> Copy:
    body = msgspec.json.encode(native_response("queued", id=id))
    return Copy(owner, id, body, "queued", background=True)


async def for_ever(send: Send, run: Run) -> None:
    await asyncio.Event().wait()


@pytest.fixture
def store(transactional_db):
    with RunningStore() as store:
        yield store


@pytest.fixture
def on_loop(store):
    """What a coroutine function, given the store, has come to."""
    return lambda work: store._portal.call(work, store.store)


def test_what_runs_for_too_long_is_failed_with_a_reason(store, on_loop):
    async def run_over(held):
        runs = Runs(held, pace=Pace(run_seconds=0.01))
        await runs.start(queued("resp_1"), for_ever)
        await asyncio.gather(*runs._tasks)

    on_loop(run_over)

    failed = msgspec.json.decode(store.response(OWNER, "resp_1").body)
    assert failed["status"] == "failed"
    assert "not finished after 0.01 s" in failed["error"]["message"]


def test_nothing_begins_that_was_being_written_as_the_stop_came(store, on_loop):
    begun = []

    async def work(send: Send, run: Run) -> None:
        begun.append(run)

    async def stopped_within(held):
        runs = Runs(held)
        starting = asyncio.create_task(runs.start(queued("resp_1"), work))
        await asyncio.sleep(0)  # it begins, as far as its first wait
        assert runs._starting
        await runs.stop()
        with pytest.raises(NotReady, match="stopping"):
            await starting

    on_loop(stopped_within)

    assert begun == []
    assert store.response(OWNER, "resp_1").status == "failed"


def test_full_batches_are_written_back_to_back(on_loop):
    """Others would not be written before the test is over."""

    async def tell(send: Send, run: Run) -> None:
        for number in range(3):
            run.tell(number, b"x" * MOST_BATCH_BYTES)
        await asyncio.Event().wait()

    async def told(held):
        runs = Runs(held, pace=Pace(batch_seconds=NEVER_SECONDS))
        await runs.start(queued("resp_1"), tell)
        run = runs.find(OWNER, "resp_1")
        assert run is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while run.holds(1):
                await run.until_final(0.01)
        await runs.stop()

    on_loop(told)


@pytest.mark.parametrize("ends", [False, True])
def test_what_cannot_be_written_fails_it_and_the_log_says_why(store, on_loop, caplog, ends):
    async def tell(send: Send, run: Run) -> None:
        unkeepable: Any = "no bytes"
        run.tell(1, unkeepable)
        if ends:
            run.end(final(msgspec.json.encode(native_response("completed", "Hi"))))
        else:
            await asyncio.Event().wait()

    async def told(held):
        runs = Runs(held)
        await runs.start(queued("resp_1"), tell)
        await asyncio.gather(*runs._tasks)

    on_loop(told)

    kept = store.response(OWNER, "resp_1")
    assert kept.status == "failed"
    assert b"Aurora failed to keep this response." in kept.body
    assert any(record.exc_info for record in caplog.records if record.name == "aurora.runs")


def test_one_key_has_half_of_the_places(mount, vllm):
    gateway = mount(server(vllm), background_responses=4)
    vllm.will_stall(always=True)
    for _ in range(2):
        assert gateway.post(RESPONSES, create(background=True)).status == 200

    refused = gateway.post(RESPONSES, create(background=True))

    assert (refused.status, error_of(refused)["code"]) == (429, "too_many_in_background")
    assert "of this key" in error_of(refused)["message"]
    assert gateway.post(RESPONSES, create(background=True), key=OTHER_KEY).status == 200


def test_the_only_place_is_anybodys(mount, vllm):
    gateway = mount(server(vllm), background_responses=1)
    vllm.will_stall(always=True)

    assert gateway.post(RESPONSES, create(background=True)).status == 200


def test_the_calls_that_wait_for_an_answer_are_bounded_together(on_loop):
    async def begin(held):
        answers = asyncio.Event()

        async def work(send: Send, run: Run) -> None:
            await answers.wait()
            await send(HEAD)
            await for_ever(send, run)

        runs = Runs(held)
        await runs.start(queued("resp_1"), work, MOST_WAITING_REQUEST_BYTES)
        with pytest.raises(TooManyInBackground, match="wait in the background"):
            await runs.start(queued("resp_2"), work, 1)
        answers.set()
        run = runs.find(OWNER, "resp_1")
        assert run is not None
        while run.request_bytes:
            await run.until_told(0.01)
        await runs.start(queued("resp_3"), work, 1)
        await runs.stop()

    on_loop(begin)


def test_a_call_of_any_size_may_wait_alone(on_loop):
    async def begin(held):
        runs = Runs(held)
        await runs.start(queued("resp_1"), for_ever, MOST_WAITING_REQUEST_BYTES + 1)
        await runs.stop()

    on_loop(begin)


@pytest.mark.parametrize("background", [True, False])
def test_the_call_is_let_go_once_its_answer_has_begun(stateful, vllm, way, background):
    """Only what is to be kept stays: the input's items, once."""
    size = 512 * KIB
    vllm.will_stall(after_chunks=streamed_by(way, "Hi")[:3])
    client = stateful.connect()
    with counting(size // 2) as held:
        asked = create("x" * size, background=background, stream=not background)
        client.send(request("POST", RESPONSES, msgspec.json.encode(asked)))
        del asked
        head = client.read_head()
        assert head.start[1] == "200"
        client.read_chunk() if not background else None
        vllm.wait_until_received()
        vllm.received.clear()

        eventually(lambda: held() < 2 * size)

    client.close()
    stateful.stop_runs()
