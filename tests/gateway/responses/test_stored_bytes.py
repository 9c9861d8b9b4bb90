"""What one key may store is bounded; whoever has more is still answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from gateway.client import Limits
from gateway.memory import Memory
from gateway.models import StoredResponse
from gateway.state.spool import Spool
from gateway.state.stored_bytes import StoredBytes
from gateway.state.values import StateLimits
from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import (
    OTHER_KEY,
    RESPONSES,
    TRANSLATED,
    chat_answer,
    create,
    events_of,
    show,
)
from tests.gateway.state.stores import PATIENT, without_responses
from tests.mounted import MASTER_KEY, NO_HURRY, error_of
from tests.patience import PATIENCE_SECONDS
from tests.processes import eventually

MOST = 10_000
LARGE = "a" * MOST


@pytest.fixture
def most_stored_bytes() -> int:
    return MOST


@pytest.fixture
def memory() -> Memory:
    return Memory(2**30)


@pytest.fixture
def limits(memory: Memory) -> Limits:
    return replace(NO_HURRY, memory=memory)


@pytest.fixture
def full(mount, vllm):
    """A gateway whose master key has stored as much as it may."""
    gateway = mount(server(vllm, TRANSLATED))
    kept = gateway.post(RESPONSES, create(LARGE))
    assert kept.json["store"] is True
    assert show(gateway, kept.json["id"]).status == 200
    return gateway


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_over_the_limit_is_given_and_not_kept(full, stream):
    answer = full.post(RESPONSES, create(stream=stream))

    said = events_of(answer.body)[-1]["response"] if stream else answer.json
    assert (answer.status, said["store"]) == (200, False)
    assert show(full, said["id"]).status == 404


def test_what_is_of_no_use_without_being_kept_is_refused(full):
    for answer in (
        full.post(RESPONSES, create(background=True)),
        full.post("/v1/conversations", {}),
    ):
        assert (answer.status, error_of(answer)["code"]) == (429, "storage_full")
        assert "AURORA_STORED_BYTES_PER_KEY" in error_of(answer)["message"]


def test_a_conversation_takes_nothing_more(mount, vllm):
    gateway = mount(server(vllm, TRANSLATED))
    id = gateway.post("/v1/conversations", {}).json["id"]
    gateway.post(RESPONSES, create(LARGE))

    item = {"type": "message", "role": "user", "content": "Hi"}
    added = gateway.post(f"/v1/conversations/{id}/items", {"items": [item]})
    called = gateway.post(RESPONSES, create(conversation=id))

    for answer in (added, called):
        assert (answer.status, error_of(answer)["code"]) == (429, "storage_full")


def test_other_keys_store_on(full):
    answer = full.post(RESPONSES, create(), key=OTHER_KEY)

    assert answer.json["store"] is True


def test_another_process_learns_of_it(full, mount, vllm):
    other = mount(server(vllm, TRANSLATED))

    eventually(lambda: other.post(RESPONSES, create()).json["store"] is False)
    assert other.post(RESPONSES, create(), key=MASTER_KEY).json["store"] is False


def test_what_comes_while_it_is_summed_up_counts():
    async def work() -> tuple[bool, bool, bool]:
        owner, asked, may_answer = uuid4(), [], asyncio.Event()

        async def sums(owners: Sequence[UUID]) -> dict[UUID, int]:
            asked.append(owners)
            await may_answer.wait()
            return {owner: 90}

        stored = StoredBytes(100, sums)
        first = stored.is_full(owner)
        summing = asyncio.create_task(stored.refresh())
        await asyncio.sleep(0)
        stored.add(owner, 9)
        may_answer.set()
        await summing
        before = stored.is_full(owner)
        stored.add(owner, 1)
        assert asked == [[owner]]
        return first, before, stored.is_full(owner)

    assert asyncio.run(asyncio.wait_for(work(), PATIENCE_SECONDS)) == (False, False, True)


@pytest.mark.parametrize("most_stored_bytes", [0])
def test_what_waits_to_be_written_is_held_in_the_account(mount, vllm, limits, memory):
    gateway = mount(server(vllm, TRANSLATED))

    kept = gateway.post(RESPONSES, create(LARGE * 20))

    assert show(gateway, kept.json["id"]).status == 200
    assert eventually(lambda: memory.used_bytes == 0)


@pytest.mark.parametrize("most_stored_bytes", [0])
def test_without_the_memory_for_it_a_response_is_not_kept_and_is_counted(mount, vllm, memory):
    gateway = mount(server(vllm, TRANSLATED))
    said = chat_answer("a" * 400_000)
    vllm.will_answer_json(200, said)
    memory.most_bytes = 1_000_000

    answer = gateway.post(RESPONSES, create())

    assert answer.status == 200
    memory.most_bytes = 2**30
    assert gateway.store.lost == 1
    assert show(gateway, answer.json["id"]).status == 404
    assert eventually(lambda: memory.used_bytes == 0)


class TestWhatStandsInTheSpoolAlone:
    @pytest.fixture
    def most_stored_bytes(self) -> int:
        return 0

    @pytest.fixture
    def state_limits(self) -> StateLimits:
        return replace(PATIENT, held_bytes=0)

    @pytest.fixture
    def spool(self, tmp_path: Path) -> Spool:
        return Spool(tmp_path / "spool", 2**24)

    def test_holds_no_memory(self, mount, vllm, memory):
        gateway = mount(server(vllm, TRANSLATED))

        with without_responses():
            assert gateway.post(RESPONSES, create(LARGE * 20)).status == 200
            assert eventually(lambda: memory.used_bytes == 0)
        assert eventually(lambda: StoredResponse.objects.count() == 1)
