"""A server serves other models than before: whatever tells of that has it asked anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from gateway.passthrough import ROUTES, Access
from tests.mounted import CHAT, MODEL, MountedGateway, provider, request

UNKNOWN = {
    "error": {
        "message": f"The model `{MODEL}` does not exist.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }
}
LOAD = {"lora_name": "sql", "lora_path": "/models/sql"}
CHANGING = [
    ("POST", "/v1/load_lora_adapter"),
    ("POST", "/load_lora_adapter"),
    ("POST", "/v1/unload_lora_adapter"),
    ("POST", "/adapters"),
    ("DELETE", "/adapters/sql"),
    ("POST", "/sleep"),
    ("POST", "/wake_up"),
]
OTHERS = [
    (route.method, route.path)
    for route in ROUTES
    if route.access is Access.CONTROL and (route.method, route.path) not in CHANGING
    and "{" not in route.path
]  # fmt: skip

Controlled = tuple[MountedGateway, Callable[[], list[UUID]], UUID]


@pytest.fixture
def controlled(server_thread: Any, vllm: Any, limits: Any) -> Iterator[Controlled]:
    """A gateway whose one server may be controlled; and which servers it wants to be asked, once
    its calls have ended."""
    asked: list[UUID] = []
    mounted = MountedGateway(server_thread, limits, ask_anew=asked.append)
    entry = provider(vllm.url, passthrough="control")
    mounted.publish(entry)

    def asked_by_now() -> list[UUID]:
        mounted.wait_until_idle()
        return asked

    yield mounted, asked_by_now, entry.id
    mounted.close()


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_a_control_call_that_changes_models_has_its_server_asked(controlled, vllm, method, path):
    gateway, asked, id = controlled
    vllm.will_answer(200)

    answer = gateway.call(method, f"/p/alpha{path}", b"" if method == "DELETE" else b"{}")

    assert answer.status == 200
    assert asked() == [id]


def test_a_control_call_below_a_type_has_the_server_asked_too(controlled, vllm):
    """Below a type's name there may be several."""
    gateway, asked, id = controlled
    gateway.publish(gateway.catalog.current().providers["alpha"], provider(vllm.url, "beta"))
    vllm.will_answer(200)

    assert gateway.post("/p/vllm/v1/load_lora_adapter", LOAD).status == 200
    assert asked() == [id]


def test_a_control_call_whose_client_leaves_has_its_server_asked_too(controlled, vllm):
    gateway, asked, id = controlled
    vllm.will_stall()
    client = gateway.connect()
    client.send(request("POST", "/p/alpha/sleep", b"{}"))
    vllm.wait_until_received()
    client.close()

    assert asked() == [id]


def test_a_refused_control_call_has_no_server_asked(controlled, vllm):
    gateway, asked, _ = controlled
    vllm.will_answer_json(400, {"error": {"message": "no such adapter"}})

    assert gateway.post("/p/alpha/v1/load_lora_adapter", LOAD).status == 400
    assert asked() == []


@pytest.mark.parametrize(("method", "path"), OTHERS)
def test_any_other_control_call_says_nothing(controlled, vllm, method, path):
    gateway, asked, _ = controlled
    vllm.will_answer(200)

    assert gateway.call(method, f"/p/alpha{path}").status == 200
    assert asked() == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_does_not_know_a_model_it_listed_is_asked(controlled, vllm, stream):
    gateway, asked, id = controlled
    vllm.will_answer_json(404, UNKNOWN)

    answer = gateway.post(CHAT, {"model": MODEL, "messages": [], "stream": stream})

    assert answer.status == 404
    assert asked() == [id]


def test_a_name_that_the_client_made_up_has_no_server_asked(controlled, vllm):
    gateway, asked, _ = controlled
    vllm.will_answer_json(404, UNKNOWN)

    assert gateway.post("/p/alpha/v1/chat/completions", {"model": "made-up"}).status == 404
    assert gateway.post(CHAT, {"model": "made-up"}).status == 404
    assert asked() == []


@pytest.mark.parametrize(
    "fails", [lambda vllm: vllm.will_answer(500), lambda vllm: vllm.will_reset_before_answer()]
)
def test_a_failure_says_nothing_of_models(controlled, vllm, fails: Callable[[Any], None]):
    gateway, asked, _ = controlled
    fails(vllm)

    assert gateway.post(CHAT, {"model": MODEL, "messages": []}).status >= 500
    assert asked() == []
