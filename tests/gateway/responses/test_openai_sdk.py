"""OpenAI's own client, against servers that know the Responses API and those that do not."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.gateway.responses.making import (
    NATIVE,
    SELECTOR,
    chat_chunk,
    native_stream,
    sent_texts,
    streamed_by,
    will_say,
)
from tests.mounted import MASTER_KEY, MountedGateway
from tests.processes import eventually


@pytest.fixture
def client(stateful: MountedGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stateful.url}/v1", api_key=MASTER_KEY, max_retries=0) as client:
        yield client


def test_create_and_go_on(client, vllm, way):
    will_say(vllm, way, "Hi!", "resp_1")
    first = client.responses.create(model=SELECTOR, input="Hello")
    will_say(vllm, way, "Fine.", "resp_2")

    second = client.responses.create(
        model=SELECTOR, input="And?", previous_response_id=first.id, instructions="Be brief."
    )

    assert (first.output_text, second.output_text) == ("Hi!", "Fine.")
    assert second.previous_response_id == first.id
    assert sent_texts(vllm, way)[-3:] == [("user", "Hello"), ("assistant", "Hi!"), ("user", "And?")]
    assert client.responses.retrieve(second.id).output_text == "Fine."
    items = client.responses.input_items.list(second.id)
    assert [item.content[0].text for item in items] == ["And?"]


def test_the_stream_helper(client, vllm, way):
    vllm.will_stream(*streamed_by(way, "Hi", " there", "!"))

    with client.responses.stream(model=SELECTOR, input="Hello") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()

    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds.count("response.output_text.delta") == 3
    assert (kinds[-1], final.output_text) == ("response.completed", "Hi there!")
    assert client.responses.retrieve(final.id).output_text == "Hi there!"


def test_the_stream_helper_with_what_it_goes_on_from(client, vllm, way):
    will_say(vllm, way, "Hi!", "resp_1")
    first = client.responses.create(model=SELECTOR, input="Hello")
    vllm.will_stream(*streamed_by(way, "Fine."))

    with client.responses.stream(
        model=SELECTOR, input="And?", previous_response_id=first.id
    ) as stream:
        final = stream.get_final_response()

    assert (final.output_text, final.previous_response_id) == ("Fine.", first.id)


def test_background_retrieve_and_cancel(client, vllm, way):
    vllm.will_stream(*streamed_by(way, "Hi!"), pause_seconds=0.02)
    queued = client.responses.create(model=SELECTOR, input="Hello", background=True)
    assert (queued.status, queued.background) == ("queued", True)

    def done() -> bool:
        return client.responses.retrieve(queued.id).status == "completed"

    eventually(done)
    assert client.responses.retrieve(queued.id).output_text == "Hi!"

    vllm.will_stall(after_chunks=streamed_by(way, "Hi")[:2])
    endless = client.responses.create(model=SELECTOR, input="Hello", background=True)
    assert client.responses.cancel(endless.id).status == "cancelled"
    assert client.responses.retrieve(endless.id).status == "cancelled"
    client.responses.delete(endless.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(endless.id)


def test_a_background_stream_is_taken_up_again(client, vllm, way):
    vllm.will_stream(*streamed_by(way, "a", "b", "c"), pause_seconds=0.05)
    seen = []
    with client.responses.create(
        model=SELECTOR, input="Hello", background=True, stream=True
    ) as stream:
        for event in stream:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
    id, last = seen[0].response.id, seen[-1].sequence_number

    rest = list(client.responses.retrieve(id, stream=True, starting_after=last))

    assert rest[0].sequence_number == last + 1
    assert rest[-1].type == "response.completed"
    assert [e.delta for e in seen + rest if e.type == "response.output_text.delta"] == list("abc")


def test_the_helper_takes_a_background_stream_up_again(client, vllm, way):
    vllm.will_stream(*streamed_by(way, "a", "b"))
    queued = client.responses.create(model=SELECTOR, input="Hello", background=True)

    with client.responses.stream(response_id=queued.id) as stream:
        assert stream.get_final_response().output_text == "ab"


def test_conversations(client, vllm, way):
    conversation = client.conversations.create()
    will_say(vllm, way, "Hi!", "resp_1")
    client.responses.create(model=SELECTOR, input="Hello", conversation=conversation.id)
    will_say(vllm, way, "Fine.", "resp_2")
    client.responses.create(model=SELECTOR, input="And?", conversation=conversation.id)

    assert [text for _, text in sent_texts(vllm, way)] == ["Hello", "Hi!", "And?"]


@pytest.mark.anyio
async def test_the_async_client(stateful, vllm, way):
    vllm.will_stream(*streamed_by(way, "Hi", "!"))
    async with openai.AsyncOpenAI(base_url=f"{stateful.url}/v1", api_key=MASTER_KEY) as client:
        async with client.responses.stream(model=SELECTOR, input="Hello") as stream:
            final = await stream.get_final_response()
        again = await client.responses.retrieve(final.id)

    assert (final.output_text, again.output_text) == ("Hi!", "Hi!")


def test_a_stream_that_breaks_off_ends_with_the_reason(client, vllm, way):
    cut = native_stream("Hi")[:5] if way == NATIVE else [chat_chunk({"content": "Hi"})]
    vllm.will_cut_after(*cut)

    *before, last = client.responses.create(model=SELECTOR, input="Hello", stream=True)

    assert last.type == ("error" if way == NATIVE else "response.failed")
    assert last.sequence_number == before[-1].sequence_number + 1
    assert "alpha" in (last.message if way == NATIVE else last.response.error.message)
