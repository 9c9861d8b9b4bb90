"""Chat completions by the official client, beside the same call straight to vLLM."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from tests.processes import eventually
from tests.vllm.conftest import MASTER_KEY, VLLM_KEY
from tests.vllm.servers import TEXT_MODEL, Server

TEXT = f"vllm/{TEXT_MODEL}"
HELLO: Any = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def greedy(model: str, **more: Any) -> dict[str, Any]:
    """A request that vLLM answers with the same bytes each time, but for the time of day.

    The ids of the answer are made of the request id.
    """
    headers = {"X-Request-Id": "same-for-both"}
    return {"model": model, "temperature": 0, "max_tokens": 16, "extra_headers": headers} | more


def without_time(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.to_dict().items() if name != "created"}


def told(chunks: list[Any]) -> tuple[str, list[Any]]:
    """The text of a stream, and what its chunks say beside it, each once. How many chunks the text
    comes in depends on how busy the machine is."""
    text, others = "", []
    for chunk in map(without_time, chunks):
        for choice in chunk["choices"]:
            part = choice if "text" in choice else choice["delta"]
            text += part.pop("text", None) or part.pop("content", None) or ""
        if chunk not in others:
            others.append(chunk)
    assert text
    return text, others


def test_a_chat_answer_is_what_vllm_itself_says(
    client: openai.OpenAI, text_itself: openai.OpenAI
) -> None:
    ours = client.chat.completions.create(messages=HELLO, **greedy(TEXT))
    theirs = text_itself.chat.completions.create(messages=HELLO, **greedy(TEXT_MODEL))
    assert ours.choices[0].message.content
    assert without_time(ours) == without_time(theirs)
    assert "prompt_token_ids" in ours.to_dict()


def test_a_streamed_chat_is_what_vllm_itself_streams(
    client: openai.OpenAI, text_itself: openai.OpenAI
) -> None:
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    with client.chat.completions.create(messages=HELLO, **greedy(TEXT, **streamed)) as stream:
        ours = list(stream)
    with text_itself.chat.completions.create(
        messages=HELLO, **greedy(TEXT_MODEL, **streamed)
    ) as stream:
        theirs = list(stream)
    assert told(ours) == told(theirs)
    assert ours[-1].usage.completion_tokens == 16


def test_a_stream_ends_with_done(http: httpx.Client) -> None:
    body = {"model": TEXT, "messages": HELLO, "max_tokens": 4, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-aurora-provider"] == "vllm"
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines)
    assert len(lines) > 2


@pytest.mark.anyio
async def test_the_async_client_streams_too(aurora: Server) -> None:
    async with openai.AsyncOpenAI(
        base_url=aurora.url + "/v1", api_key=MASTER_KEY, max_retries=0
    ) as client:
        stream = await client.chat.completions.create(
            model=TEXT, messages=HELLO, max_tokens=8, stream=True
        )
        async with stream:
            finish = [chunk.choices[0].finish_reason async for chunk in stream]
    assert finish[-1] == "length"


def test_a_model_is_found_without_its_provider(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=TEXT_MODEL, messages=HELLO, max_tokens=4)
    assert answer.choices[0].finish_reason == "length"


def test_a_tool_is_called(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        messages=HELLO, tools=[WEATHER], tool_choice="required", **greedy(TEXT, max_tokens=64)
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["city"] in {"Paris", "Rome"}


def test_a_streamed_tool_call_arrives_in_pieces(client: openai.OpenAI) -> None:
    call = greedy(TEXT, max_tokens=64, stream=True)
    with client.chat.completions.create(
        messages=HELLO, tools=[WEATHER], tool_choice="required", **call
    ) as stream:
        deltas = [chunk.choices[0].delta for chunk in stream if chunk.choices]
    functions = [tool.function for delta in deltas for tool in delta.tool_calls or []]
    assert [function.name for function in functions if function.name] == ["get_weather"]
    arguments = "".join(function.arguments or "" for function in functions)
    assert json.loads(arguments)["city"] in {"Paris", "Rome"}


def test_members_that_only_vllm_knows_reach_it(client: openai.OpenAI) -> None:
    extra = {"structured_outputs": {"choice": ["yes", "no"]}, "min_p": 0.1}
    answer = client.chat.completions.create(messages=HELLO, **greedy(TEXT, extra_body=extra))
    assert answer.choices[0].message.content in {"yes", "no"}
    with pytest.raises(openai.BadRequestError, match="min_p"):
        client.chat.completions.create(messages=HELLO, **greedy(TEXT, extra_body={"min_p": 7}))


def test_a_json_schema_is_kept(client: openai.OpenAI) -> None:
    schema = WEATHER["function"]["parameters"]
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    answer = client.chat.completions.create(
        messages=HELLO, response_format=wanted, **greedy(TEXT, max_tokens=64)
    )
    assert json.loads(answer.choices[0].message.content or "")["city"] in {"Paris", "Rome"}


def test_a_bad_parameter_is_refused_in_the_words_of_vllm(
    client: openai.OpenAI, text_itself: openai.OpenAI
) -> None:
    with pytest.raises(openai.BadRequestError) as ours:
        client.chat.completions.create(model=TEXT, messages=HELLO, temperature=-1)
    with pytest.raises(openai.BadRequestError) as theirs:
        text_itself.chat.completions.create(model=TEXT_MODEL, messages=HELLO, temperature=-1)
    assert ours.value.body == theirs.value.body
    assert "temperature" in ours.value.message


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="vllm/nobody/serves-this", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert "nobody/serves-this" in caught.value.message


@pytest.mark.parametrize("key", ["sk-wrong", VLLM_KEY])
def test_another_key_is_refused(client: openai.OpenAI, key: str) -> None:
    stranger = client.with_options(api_key=key)
    with pytest.raises(openai.AuthenticationError) as caught:
        stranger.chat.completions.create(model=TEXT, messages=HELLO)
    assert "www-authenticate" in caught.value.response.headers
    assert key not in caught.value.response.text


def test_a_client_that_leaves_stops_the_generation(client: openai.OpenAI, text: Server) -> None:
    finished = metric(text, "vllm:request_success_total")
    with long_stream(client) as stream:
        next(iter(stream))
        eventually(lambda: metric(text, "vllm:num_requests_running") > 0, seconds=5)
    eventually(lambda: metric(text, "vllm:num_requests_running") == 0, seconds=10)
    # vLLM counts a request that ran to its end, whatever ended it, but not one that was left.
    assert metric(text, "vllm:request_success_total") == finished


def long_stream(client: openai.OpenAI) -> Any:
    """A stream of as many tokens as the tiny model can be brought to write."""
    return client.chat.completions.create(
        model=TEXT,
        messages=HELLO,
        max_tokens=460,
        n=64,
        stream=True,
        extra_body={"ignore_eos": True},
    )


def metric(server: Server, name: str) -> float:
    """The sum over all labels of one of the server's own numbers."""
    lines = httpx.get(server.url + "/metrics", timeout=30).text.splitlines()
    found = [line for line in lines if line.startswith((name + "{", name + " "))]
    assert found
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)
