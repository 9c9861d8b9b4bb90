"""An alias whose answers say what the client asked for: through every route, and nothing else of
them changes. Without the setting they are the server's, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway import sse
from tests.gateway.failover.conftest import NAME, Fleet
from tests.gateway.failover.test_sentences import stream, tells
from tests.gateway.pure.resuming.telling import WORDS, Seen
from tests.mounted import CHAT, MASTER_KEY, error_of, request
from tests.recorded import load
from tests.scripting import chunk_bytes, stream_head

COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
ASKED = b'"model":"%s"' % NAME.encode()
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": []},
    COMPLETIONS: {"prompt": "Hi"},
    EMBEDDINGS: {"input": "Hi"},
    MESSAGES: {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8},
    RESPONSES: {"input": "Hi", "store": False},
}
PLAIN = [
    (CHAT, "full_chat_plain"),
    (COMPLETIONS, "gen_completions_plain"),
    (EMBEDDINGS, "embed_emb_float"),
    (MESSAGES, "full_messages_plain"),
    (RESPONSES, "full_resp_plain"),
]
STREAMED = [
    (CHAT, "full_chat_stream_usage"),
    (CHAT, "full_chat_logprobs_stream"),
    (COMPLETIONS, "gen_completions_stream_usage"),
    (COMPLETIONS, "multi_completions_stream_keepalive"),
    (MESSAGES, "full_messages_stream"),
    (RESPONSES, "full_resp_stream"),
]
TRANSLATED = [MESSAGES, RESPONSES]


@pytest.fixture
def asking(fleet: Fleet) -> Fleet:
    """Its alias says what was asked for."""
    fleet.publish(alias={"says_asked_model": True})
    return fleet


def ask(fleet: Fleet, path: str, **members: Any) -> Any:
    return fleet.gateway.post(path, {"model": NAME, **BODIES[path], **members})


def said_by_vllm(name: str) -> bytes:
    """The member as the server of this recording wrote it."""
    model = json.loads(load(name).request_body)["model"]
    said = b'"model":' + json.dumps(model).encode()
    assert said in load(name).body
    return said


def models(body: bytes) -> set[str]:
    """All that a stream's events say as a model."""
    events = [event.data for event in sse.Parser().feed(body) if event.data != b"[DONE]"]
    said = [json.loads(data) for data in events]
    objects = [each.get("response") or each.get("message") or each for each in said]
    return {each["model"] for each in objects if "model" in each}


@pytest.mark.parametrize(("path", "name"), PLAIN)
def test_a_plain_answer_says_what_was_asked_for(asking: Fleet, path: str, name: str) -> None:
    asking.one.will_replay(load(name))

    answer = ask(asking, path)

    assert answer.status == 200
    assert answer.body == load(name).body.replace(said_by_vllm(name), ASKED)
    assert answer.headers["content-length"] == str(len(answer.body))
    assert asking.one.received[0].path == path


@pytest.mark.parametrize(("path", "name"), STREAMED)
def test_a_stream_says_it_chunk_for_chunk(asking: Fleet, path: str, name: str) -> None:
    asking.one.will_replay(load(name))

    answer = ask(asking, path, stream=True)

    told = [piece.replace(said_by_vllm(name), ASKED) for piece in load(name).reads]
    assert answer.chunks == told
    assert models(answer.body) == {NAME}


@pytest.mark.parametrize(("path", "name"), STREAMED)
@pytest.mark.parametrize("size", [1, 13, 700])
def test_a_stream_says_it_wherever_the_server_cuts(
    asking: Fleet, path: str, name: str, size: int
) -> None:
    body = load(name).body
    asking.one.will_stream(*(body[at : at + size] for at in range(0, len(body), size)))

    assert ask(asking, path, stream=True).body == body.replace(said_by_vllm(name), ASKED)


def test_other_line_ends_and_letters_cut_in_two_come_out_as_they_are(asking: Fleet) -> None:
    said = 'data: {"id":"x","model":"m","choices":[{"delta":{"content":"世界"}}]}\r\n\r\n'.encode()
    within = said.index("世".encode()) + 1
    asking.one.will_stream(said[:within], said[within:-3], said[-3:], b"data: [DONE]\r\n\r\n")

    answer = asking.chat(stream=True)

    assert answer.body == said.replace(b'"model":"m"', ASKED) + b"data: [DONE]\r\n\r\n"


def test_comments_of_the_server_are_handed_on_at_once(asking: Fleet) -> None:
    asking.one.will_stream(b": still here\n\n", b"data: [DONE]\n\n")

    assert asking.chat(stream=True).chunks == [b": still here\n\n", b"data: [DONE]\n\n"]


@pytest.mark.parametrize("path", TRANSLATED)
def test_a_translated_answer_says_it(asking: Fleet, path: str) -> None:
    asking.publish(alias={"says_asked_model": True}, translation="always")
    asking.one.will_replay(load("full_chat_plain"))

    answer = ask(asking, path)

    assert (answer.status, asking.one.received[0].path) == (200, CHAT)
    assert answer.json["model"] == NAME


@pytest.mark.parametrize("path", TRANSLATED)
def test_a_translated_stream_says_it(asking: Fleet, path: str) -> None:
    asking.publish(alias={"says_asked_model": True}, translation="always")
    asking.one.will_replay(load("full_chat_stream_usage_continuous"))

    answer = ask(asking, path, stream=True)

    assert (answer.status, asking.one.received[0].path) == (200, CHAT)
    assert models(answer.body) == {NAME}


@pytest.mark.parametrize("translation", ["auto", "always"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
def test_a_stream_that_breaks_off_says_it_to_its_end(
    asking: Fleet, path: str, translation: str
) -> None:
    asking.publish(alias={"says_asked_model": True}, translation=translation)
    native = {CHAT: "full_chat_stream_usage", MESSAGES: "full_messages_stream"}
    is_native = translation == "auto" or path == CHAT
    name = native.get(path, "full_resp_stream") if is_native else native[CHAT]
    asking.one.will_cut_after(*load(name).reads[:3], load(name).reads[3][:-9])

    answer = ask(asking, path, stream=True)

    assert models(answer.body) == {NAME}
    [*_, last] = sse.Parser().feed(answer.body)
    assert b"error" in last.data
    assert asking.gateway.record()["reason"].startswith("upstream_broke")


@pytest.mark.parametrize("until", [1, 5])
def test_a_finished_sentence_says_it_in_every_chunk(fleet: Fleet, until: int) -> None:
    fleet.publish(alias={"says_asked_model": True, "resumes": True})
    tells(fleet.one, "one", until=until, how="it is cut")
    tells(fleet.two, "two")

    answer = stream(fleet, stream_options={"include_usage": True})

    seen = Seen(answer.body)
    assert seen.text == "".join(WORDS)
    assert {chunk["model"] for chunk in seen.chunks} == {NAME}
    assert {chunk["id"] for chunk in seen.chunks} == {"chatcmpl-one"}
    assert fleet.calls == (1, 1)


def test_the_alias_that_was_asked_for_is_said_where_the_next_server_answers(asking: Fleet) -> None:
    asking.one.will_answer(503)
    asking.two.will_replay(load("full_chat_plain"))

    assert asking.chat().json["model"] == NAME


def test_an_error_is_the_servers(asking: Fleet) -> None:
    error = {"message": "No.", "type": "x", "param": "model", "code": 400}
    asking.one.will_answer_json(400, {"error": error})

    assert error_of(asking.chat()) == error


def test_what_is_no_json_goes_out_as_it_comes(asking: Fleet) -> None:
    """A long sound is not gathered for the sake of a name that it cannot say."""
    head = stream_head("audio/wav")
    asking.one.will_send(head, chunk_bytes(b'RIFF"model"'), then="stall")
    client = asking.gateway.connect()
    body = b'{"model":"%s","messages":[]}' % NAME.encode()
    client.send(request("POST", CHAT, body, key=MASTER_KEY))

    client.read_head()
    assert client.read_chunk() == b'RIFF"model"'
    client.close()


@pytest.mark.parametrize(("path", "name"), [*PLAIN, *STREAMED])
def test_without_the_setting_it_is_the_servers_answer_untouched(
    fleet: Fleet, path: str, name: str
) -> None:
    fleet.one.will_replay(load(name))

    answer = ask(fleet, path, stream=load(name).streamed)

    assert answer.body == load(name).body
    assert not load(name).streamed or tuple(answer.chunks) == load(name).reads


def test_a_model_that_is_asked_for_by_its_own_name_is_the_servers(asking: Fleet) -> None:
    asking.one.will_replay(load("full_chat_plain"))

    answer = asking.chat(f"one/{asking.one.models[0]}")

    assert answer.body == load("full_chat_plain").body
