"""What the tests of responses ask, and what servers answer them."""

from __future__ import annotations

import json
from typing import Any

from tests.mounted import MODEL, MountedGateway
from tests.processes import eventually
from tests.raw_http import Answer, RawClient
from tests.scripted_vllm import ScriptedVllm

RESPONSES = "/v1/responses"
SELECTOR = f"alpha/{MODEL}"
OTHER_KEY = "aurora-another-secret-of-these-tests"
NATIVE, TRANSLATED = "native", "translated"


def create(input: Any = "Hello, world!", **members: Any) -> dict[str, Any]:
    """The body of a create call."""
    return {"model": SELECTOR, "input": input, **members}


def events_of(body: bytes) -> list[dict[str, Any]]:
    """The data of each event of a stream; comments are skipped."""
    blocks = (block.split(b"data: ", 1) for block in body.split(b"\n\n") if b"data: " in block)
    return [json.loads(parts[1]) for parts in blocks]


def numbers(body: bytes) -> list[int]:
    return [event["sequence_number"] for event in events_of(body)]


def next_event(client: RawClient, kind: str = "") -> dict[str, Any]:
    """The next event in a stream, of this type if one is given."""
    while True:
        for event in events_of(client.read_chunk()):
            if not kind or event["type"] == kind:
                return event


def native_event(kind: str, number: int, **members: Any) -> bytes:
    data = json.dumps({**members, "sequence_number": number, "type": kind}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def native_response(status: str, text: str = "", id: str = "resp_of_vllm") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"id": f"msg_{id}", "type": "message", "role": "assistant", "status": "completed"}
    output = [{**message, "content": [part]}] if text else []
    return {
        "id": id,
        "object": "response",
        "created_at": 1,
        "model": MODEL,
        "status": status,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "background": False,
        "previous_response_id": None,
    }


def native_stream(*texts: str, id: str = "resp_of_vllm") -> list[bytes]:
    """The events of a server that says `texts`, one delta each."""
    begun, item = native_response("in_progress", id=id), f"msg_{id}"
    message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress"}
    where = {"item_id": item, "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    bare: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": {**message, "content": []}}),
        ("response.content_part.added", {**where, "part": part}),
        *[
            ("response.output_text.delta", {**where, "delta": text, "logprobs": []})
            for text in texts
        ],
        ("response.completed", {"response": native_response("completed", "".join(texts), id)}),
    ]
    return [native_event(kind, number, **members) for number, (kind, members) in enumerate(bare)]


def chat_chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n".encode()


def chat_stream(*texts: str) -> list[bytes]:
    said = [chat_chunk({"content": text}) for text in texts]
    return [chat_chunk({"role": "assistant", "content": ""}), *said, chat_chunk({}, "stop"),
            b"data: [DONE]\n\n"]  # fmt: skip


def chat_answer(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL,
            "choices": [choice], "usage": usage}  # fmt: skip


def streamed_by(way: str, *texts: str, id: str = "resp_of_vllm") -> list[bytes]:
    return native_stream(*texts, id=id) if way == NATIVE else chat_stream(*texts)


def will_say(vllm: ScriptedVllm, way: str, text: str, id: str = "resp_of_vllm") -> None:
    """The next call is answered plainly."""
    told = native_response("completed", text, id) if way == NATIVE else chat_answer(text)
    vllm.will_answer_json(200, told)


def sent_texts(vllm: ScriptedVllm, way: str) -> list[tuple[str, str]]:
    """Role and text of each message that the server was last sent."""
    body = vllm.received[-1].json
    messages = body["input"] if way == NATIVE else body["messages"]
    if isinstance(messages, str):
        return [("user", messages)]
    return [(message["role"], _text(message["content"])) for message in messages]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def show(gateway: MountedGateway, id: str, **options: Any) -> Answer:
    return gateway.call("GET", f"{RESPONSES}/{id}", **options)


def status_of(gateway: MountedGateway, id: str) -> str:
    status: str = show(gateway, id).json["status"]
    return status


def wait_for_status(gateway: MountedGateway, id: str, *wanted: str) -> Any:
    """The response once its status is one of `wanted`."""
    eventually(lambda: status_of(gateway, id) in wanted)
    return show(gateway, id).json
