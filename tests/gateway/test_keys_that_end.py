"""No call that waits or fails outlasts its key: what has not begun to be answered does not begin."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.gateway.ended_keys import ENDS, OTHER_KEY, Keys, for_management_alone
from tests.mounted import CHAT, MASTER_KEY, MODEL, MountedGateway, error_of, key_of, provider
from tests.patience import PATIENCE_SECONDS
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def given() -> Keys:
    return {MASTER_KEY: key_of(MASTER_KEY), OTHER_KEY: key_of(OTHER_KEY)}


def chat(gateway: MountedGateway, model: str, key: str = MASTER_KEY) -> Any:
    return gateway.post(CHAT, {"model": model, "messages": []}, key=key)


@ENDS
def test_a_call_that_waits_for_a_place_is_refused(
    gateway: MountedGateway, vllm: ScriptedVllm, elsewhere: ThreadPoolExecutor, given: Keys, ended
) -> None:
    one = provider(vllm.url, max_concurrency=1)
    gateway.publish(one, keys=given)
    vllm.will_stream(b"data: 1\n\n", held_after=0)
    runs = elsewhere.submit(chat, gateway, f"alpha/{MODEL}", OTHER_KEY)
    vllm.wait_until_received(1)
    waits = elsewhere.submit(chat, gateway, f"alpha/{MODEL}")
    eventually(lambda: [each.waiting for each in gateway.fleet.reports().values()] == [1])

    gateway.publish(one, keys=ended(given))

    refused = waits.result(PATIENCE_SECONDS)
    assert refused.status == (403 if ended is for_management_alone else 401), refused.body
    assert error_of(refused)["code"] in {"invalid_api_key", "not_permitted"}
    vllm.go_on()
    assert runs.result(PATIENCE_SECONDS).status == 200, "what the other one had begun goes on"
    assert len(vllm.received) == 1
