"""Two processes on one database: what is changed through one is live in both, and no call fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process.operators import Operator
from tests.process.running import Aurora
from tests.process.traffic import Traffic
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-two-processes-0123456789"
PASSWORD = "the-password-of-the-operator"
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
HOUR = 3600

Pair = tuple[Aurora, Aurora]


@pytest.fixture(scope="module")
def seeded() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        yield server


@pytest.fixture(scope="module")
def pair(serve_all, seeded: ScriptedVllm) -> Pair:
    """Both know `seeded` by their environment, and both are ready."""
    variables = {
        "AURORA_MASTER_KEY": MASTER_KEY,
        "AURORA_ADMIN_PASSWORD": PASSWORD,
        "VLLM_BASE_URL": seeded.url,
    }
    both = (serve_all(**variables), serve_all(**variables))
    for aurora in both:
        eventually(lambda: aurora.get("/ready").is_success)  # noqa: B023 - at once
    return both


@pytest.fixture(scope="module")
def operator(pair: Pair) -> Iterator[Operator]:
    with Operator(pair[0].url, PASSWORD) as operator:
        yield operator


def live(pair: Pair, key: str, model: str, status: int) -> None:
    """Wait until a call is answered so in both processes."""
    eventually(lambda: [each.chat(key, model).status_code for each in pair] == [status] * 2)


def callers(server: ScriptedVllm) -> set[str]:
    return {call.headers["x-request-id"] for call in server.received}


@pytest.fixture
def provider(operator: Operator, pair: Pair, vllm: ScriptedVllm) -> str:
    """Another one, `first`, live in both. Its id."""
    id = operator.add_provider(name="first", base_url=vllm.url)
    live(pair, MASTER_KEY, f"first/{LLAMA}", 200)
    return id


def test_servers_come_change_and_go_while_calls_run(
    pair: Pair, operator: Operator, provider: str, vllm: ScriptedVllm
) -> None:
    with (
        ScriptedVllm() as second,
        ScriptedVllm() as third,
        Traffic(pair[0].url, MASTER_KEY, f"first/{LLAMA}") as one,
        Traffic(pair[1].url, MASTER_KEY, f"first/{LLAMA}") as two,
    ):
        second.models = ["second-model"]
        added = operator.add_provider(name="added", base_url=second.url)
        live(pair, MASTER_KEY, "added/second-model", 200)

        operator.edit_provider(provider, name="first", base_url=third.url)
        eventually(lambda: callers(third) == {one.name, two.name})
        sent_before = len(vllm.received)

        operator.press(added, "disable")
        live(pair, MASTER_KEY, "added/second-model", 404)
        operator.press(added, "enable")
        operator.edit_provider(added, name="renamed", base_url=second.url)
        live(pair, MASTER_KEY, "renamed/second-model", 200)

    assert (one.failed, two.failed) == ([], [])
    assert len(vllm.received) == sent_before, "calls still went to the address before the edit"


def test_keys_are_added_rotated_and_revoked_while_calls_run(pair: Pair, operator: Operator) -> None:
    model = f"vllm/{LLAMA}"
    with Traffic(pair[1].url, MASTER_KEY, model) as others:
        issued, old = operator.add_key("an application")
        live(pair, old, model, 200)
        with Traffic(pair[0].url, old, model) as one, Traffic(pair[1].url, old, model) as two:
            new = operator.rotate(issued, HOUR)
            live(pair, new, model, 200)
            one.wait_for_more()
            two.wait_for_more()
        assert (one.failed, two.failed) == ([], [])

        with Traffic(pair[1].url, new, model) as successor:
            operator.revoke(issued)
            live(pair, old, model, 401)
            successor.wait_for_more()
        assert successor.failed == []
    assert others.failed == []
