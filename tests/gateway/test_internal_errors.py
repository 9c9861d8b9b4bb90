"""What fails within Aurora itself: the client is told so in its dialect, the log why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.mounted import CHAT, MODEL, NO_HURRY, MountedGateway, chat, provider
from tests.scripted_vllm import ScriptedVllm
from tests.serving import ServerThread

DETAIL = "what only the log may say"
UNKNOWN_MODEL = {"error": {"message": f"The model `{MODEL}` does not exist.", "code": 404}}


@pytest.fixture
def failing(server_thread: ServerThread, vllm: ScriptedVllm) -> Iterator[MountedGateway]:
    """Fails as soon as a server is to be asked anew for its models."""

    def fail(_: UUID) -> None:
        raise RuntimeError(DETAIL)

    mounted = MountedGateway(server_thread, NO_HURRY, ask_anew=fail)
    mounted.publish(provider(vllm.url, passthrough="control"))
    yield mounted
    mounted.close()


def messages() -> bytes:
    return b'{"model":"alpha/%b","max_tokens":5,"messages":[{"role":"user","content":"x"}]}' % (
        MODEL.encode()
    )


def of_openai(answer: Any) -> None:
    assert answer.json["error"]["code"] == "internal_error"
    assert answer.json["error"]["type"] == "server_error"


def of_anthropic(answer: Any) -> None:
    assert (answer.json["type"], answer.json["error"]["type"]) == ("error", "api_error")


@pytest.mark.parametrize(
    ("path", "body", "shape"),
    [(CHAT, chat(), of_openai), ("/v1/messages", messages(), of_anthropic)],
)
def test_before_an_answer_it_is_a_500_in_the_clients_dialect(failing, vllm, path, body, shape):
    vllm.will_answer_json(404, UNKNOWN_MODEL)
    answer = failing.call("POST", path, body)

    assert answer.status == 500
    shape(answer)
    assert DETAIL not in answer.body.decode()
    assert answer.headers["x-request-id"] == failing.record()["request_id"]
    assert failing.record()["reason"] == "internal error"
    assert "RuntimeError" in failing.log_text
    assert DETAIL in failing.log_text


def test_behind_an_answer_the_answer_stands_and_the_log_says_why(failing, vllm):
    vllm.will_answer_json(200, {})
    client = failing.connect()
    answer = failing.call("POST", "/p/alpha/sleep")

    assert answer.status == 200
    assert (failing.record()["status"], failing.record()["reason"]) == (200, "internal error")
    assert DETAIL in failing.log_text
    client.close()
