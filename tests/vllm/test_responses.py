"""The Responses API by the official client: native, translated, and with Aurora's state."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from tests.processes import eventually
from tests.vllm.servers import TEXT_MODEL

NATIVE, FORCED = f"vllm/{TEXT_MODEL}", f"forced/{TEXT_MODEL}"
BOTH = pytest.mark.parametrize("model", [NATIVE, FORCED], ids=["native", "translated"])
ASKED: dict[str, Any] = {"input": "Hello, world!", "max_output_tokens": 16, "temperature": 0}
LONG: dict[str, Any] = {"input": "Hello, world!", "max_output_tokens": 400, "temperature": 0}
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
FINAL = {"completed", "incomplete", "failed", "cancelled"}


def streamed(client: openai.OpenAI, **asked: Any) -> tuple[list[str], Response]:
    """The names of the events, and the response that the last of them holds."""
    with client.responses.stream(**asked) as stream:
        events: list[Any] = list(stream)
    return [event.type for event in events], events[-1].response


@BOTH
def test_a_response_is_the_same_streamed_and_plain(client: openai.OpenAI, model: str) -> None:
    plain = client.responses.create(model=model, **ASKED)
    names, final = streamed(client, model=model, **ASKED)

    assert plain.output_text
    assert final.output_text == plain.output_text
    assert (final.status, plain.status) == ("incomplete", "incomplete")
    assert final.usage is not None
    assert plain.usage is not None
    assert final.usage.output_tokens == plain.usage.output_tokens == 16
    assert names[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert names[-1] in {"response.completed", "response.incomplete"}


def test_both_ways_tell_of_the_same_events(client: openai.OpenAI) -> None:
    native, _ = streamed(client, model=NATIVE, **ASKED)
    forced, _ = streamed(client, model=FORCED, **ASKED)

    kinds = [list(dict.fromkeys(names))[:-1] for names in (native, forced)]
    assert kinds[0] == kinds[1]


@BOTH
def test_a_function_is_called_and_its_output_taken(client: openai.OpenAI, model: str) -> None:
    asked = {**ASKED, "max_output_tokens": 60, "tools": [WEATHER], "tool_choice": "required"}
    _, called = streamed(client, model=model, **asked)
    [call] = [item for item in called.output if item.type == "function_call"]
    assert json.loads(call.arguments)["city"] in {"Paris", "Rome"}

    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
    answered = client.responses.create(
        model=model,
        input=[result],
        previous_response_id=called.id,
        tools=[WEATHER],
        tool_choice="none",
        max_output_tokens=8,
    )
    assert answered.previous_response_id == called.id
    assert answered.usage is not None
    assert called.usage is not None
    assert answered.usage.input_tokens > called.usage.input_tokens


@BOTH
def test_text_comes_in_the_form_of_a_schema(client: openai.OpenAI, model: str) -> None:
    form: Any = {
        "type": "json_schema",
        "name": "weather",
        "schema": WEATHER["parameters"],
        "strict": True,
    }
    response = client.responses.create(
        model=model, **{**ASKED, "max_output_tokens": 40}, text={"format": form}
    )

    assert json.loads(response.output_text)["city"] in {"Paris", "Rome"}


@pytest.mark.parametrize(("first", "then"), [(NATIVE, FORCED), (FORCED, NATIVE)])
def test_a_response_is_continued_on_another_server(
    client: openai.OpenAI, first: str, then: str
) -> None:
    begun = client.responses.create(model=first, **ASKED)
    continued = client.responses.create(
        model=then, input="And now?", previous_response_id=begun.id, max_output_tokens=8
    )
    anew = client.responses.create(model=then, input="And now?", max_output_tokens=8)

    assert continued.previous_response_id == begun.id
    assert continued.usage is not None
    assert anew.usage is not None
    assert continued.usage.input_tokens > anew.usage.input_tokens + 16


@BOTH
def test_a_response_is_kept_listed_and_deleted(client: openai.OpenAI, model: str) -> None:
    made = client.responses.create(model=model, **ASKED)

    assert client.responses.retrieve(made.id).output_text == made.output_text
    [item] = client.responses.input_items.list(made.id).data
    assert item.to_dict()["role"] == "user"
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


@BOTH
def test_a_response_in_the_background_is_polled_for(client: openai.OpenAI, model: str) -> None:
    queued = client.responses.create(model=model, background=True, **ASKED)
    assert queued.status in {"queued", "in_progress"}

    eventually(lambda: client.responses.retrieve(queued.id).status in FINAL, seconds=60)
    done = client.responses.retrieve(queued.id)

    assert done.output_text == client.responses.create(model=model, **ASKED).output_text
    with client.responses.retrieve(queued.id, stream=True, starting_after=3) as stream:
        events = list(stream)
    assert events[0].sequence_number == 4
    assert events[-1].type in {"response.completed", "response.incomplete"}


@BOTH
def test_a_response_in_the_background_is_cancelled(client: openai.OpenAI, model: str) -> None:
    with client.responses.create(model=model, background=True, stream=True, **LONG) as stream:
        first = next(iter(stream))
        cancelled = client.responses.cancel(first.response.id)
        rest = list(stream)

    assert rest
    assert cancelled.id == first.response.id
    eventually(lambda: client.responses.retrieve(cancelled.id).status == "cancelled", seconds=60)


@BOTH
def test_a_conversation_holds_what_was_said(client: openai.OpenAI, model: str) -> None:
    conversation = client.conversations.create(metadata={"topic": "weather"})
    for _ in range(2):
        client.responses.create(
            model=model, input="Hello!", conversation=conversation.id, max_output_tokens=4
        )

    def roles() -> list[Any]:
        items = client.conversations.items.list(conversation.id, order="asc")
        return [item.to_dict().get("role") for item in items]

    eventually(lambda: roles() == ["user", "assistant"] * 2, seconds=20)
    client.conversations.delete(conversation.id)


def test_input_tokens_are_counted_as_they_are_used(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"input": "Hello, world!", "instructions": "Be brief."}
    counted = client.responses.input_tokens.count(model=FORCED, **asked)
    used = client.responses.create(model=FORCED, max_output_tokens=2, **asked).usage

    assert used is not None
    assert counted.input_tokens == used.input_tokens


def test_what_cannot_be_honoured_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(
            model=FORCED, tools=[{"type": "file_search", "vector_store_ids": []}], **ASKED
        )
    assert caught.value.param == "tools[0].type"
