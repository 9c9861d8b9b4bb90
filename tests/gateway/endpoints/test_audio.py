"""Audio comes as a form: it is routed by the `model` in it, and every other byte goes on as it came."""

from __future__ import annotations

from dataclasses import replace

import openai
import pytest

from tests import recorded
from tests.mounted import MASTER_KEY, MODEL, NO_HURRY, MountedGateway, error_of, provider, request

PATHS = ["/v1/audio/transcriptions", "/v1/audio/translations"]
TYPE = 'multipart/form-data; boundary="b o"; charset=utf-8'
WAV = bytes(range(256)) * 20 + b"\r\n--b\r\n--b o"[:-1]
TEXT = b'{"text":"Hello \\u0041","usage":{"type":"duration","seconds":1.0e0}}'
ANSWERS = {
    "json": ("application/json", TEXT),
    "a text as JSON": ("application/json", b'"1\\n00:00:00,000 --> 00:00:01,000\\nHi\\n\\n"'),
    "srt": ("text/plain; charset=utf-8", b"1\n00:00:00,000 --> 00:00:01,000\nHi\n\n"),
    "vtt": ("text/vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nГ\n".encode()),
}
CHUNKS = [
    b'data: {"id":"trsc-1","object":"transcription.chunk","choices":[{"delta":{"content":"H"}}]}\n\n',
    b'data: {"id":"trsc-1","choices":[{"delta":{"content":"i"},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]


def part(disposition: bytes, content: bytes) -> bytes:
    return b"--b o\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (disposition, content)


FILE = part(b'name="file"; filename="a.wav"\r\nContent-Type: audio/wav', WAV)
STREAM = part(b'name="stream"', b"true")
END = b"--b o--\r\n"


def model(name: str) -> bytes:
    return part(b'name="model"', name.encode())


def ask(gateway: MountedGateway, path: str, body: bytes, content_type: str = TYPE):
    return gateway.call("POST", path, body, [("Content-Type", content_type)])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("before", [b"", FILE, STREAM + FILE])
@pytest.mark.parametrize("after", [b"", STREAM])
def test_a_form_goes_on_with_only_its_model_changed(gateway, vllm, path, before, after):
    vllm.will_answer(200, [("content-type", "application/json")], TEXT)

    answer = ask(gateway, f"{path}?a=%20", before + model(f"alpha/{MODEL}") + after + END)

    assert (answer.status, answer.body) == (200, TEXT)
    [seen] = vllm.received
    assert seen.path_and_query == f"{path}?a=%20"
    assert seen.headers["content-type"] == TYPE
    assert seen.body == before + model(MODEL) + after + END
    assert seen.headers["content-length"] == str(len(seen.body))
    record = gateway.record()
    assert (record["path"], record["model"], record["provider"]) == (path, MODEL, "alpha")


@pytest.mark.parametrize("case", ANSWERS)
def test_every_kind_of_answer_is_relayed_byte_for_byte(gateway, vllm, case):
    content_type, body = ANSWERS[case]
    vllm.will_answer(200, [("content-type", content_type)], body)

    answer = ask(gateway, PATHS[0], FILE + model(MODEL) + END)

    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["content-type"] == content_type


def test_a_streamed_answer_is_relayed_chunk_for_chunk(gateway, vllm):
    vllm.will_stream(*CHUNKS)

    answer = ask(gateway, PATHS[0], FILE + STREAM + model(MODEL) + END)

    assert (answer.status, answer.chunks) == (200, CHUNKS)
    assert answer.headers["content-type"].startswith("text/event-stream")


BROKEN = {
    "no boundary": (model(MODEL) + END, "multipart/form-data", None),
    "JSON": (b'{"model":"m"}', "application/json", None),
    "two models": (model(MODEL) + FILE + model(MODEL) + END, TYPE, "model"),
    "model too long": (model("m" * 513) + END, TYPE, "model"),
    "model a file": (part(b'name="model"; filename="m"', b"m") + END, TYPE, "model"),
    "headers too long": (part(b'name="' + b"x" * 9000 + b'"', b"") + END, TYPE, None),
    "too many parts": (part(b'name="a"', b"") * 1001 + model(MODEL) + END, TYPE, None),
    "broken end": (FILE + model(MODEL), TYPE, None),
    "empty": (b"", TYPE, None),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("path", PATHS)
def test_a_form_that_cannot_be_read_is_refused(gateway, vllm, path, case):
    body, content_type, param = BROKEN[case]

    answer = ask(gateway, path, body, content_type)

    error = error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_request", param)
    assert vllm.received == []
    assert gateway.record()["status"] == 400


def test_a_form_without_a_model_must_name_one_where_there_are_many(gateway, vllm):
    gateway.publish(provider(vllm.url, models=["whisper-1", "whisper-2"]))

    answer = ask(gateway, PATHS[0], FILE + END)

    error = error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_request", "model")


def test_an_unknown_model_is_404(gateway, vllm):
    answer = ask(gateway, PATHS[0], model("nope") + FILE + END)
    assert (answer.status, error_of(answer)["code"]) == (404, "model_not_found")


def test_a_form_compressed_in_a_way_that_is_not_read_is_refused(gateway):
    headers = [("Content-Type", TYPE), ("Content-Encoding", "br")]
    answer = gateway.call("POST", PATHS[0], b"x", headers)
    assert (answer.status, error_of(answer)["code"]) == (415, "unsupported_content_encoding")


@pytest.mark.parametrize("limits", [replace(NO_HURRY, body_bytes=1000)])
def test_a_form_that_is_too_large_is_413(gateway, vllm):
    answer = ask(gateway, PATHS[0], FILE + model(MODEL) + END)
    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")
    assert vllm.received == []


def test_a_model_without_ears_is_of_another_kind(gateway, vllm):
    """The first call learns it from the server's 404."""
    vllm.will_replay(recorded.load("embed_chat"))
    for _ in range(2):
        answer = ask(gateway, PATHS[0], FILE + model(MODEL) + END)
        error = error_of(answer)
        assert (answer.status, error["code"]) == (400, "unsupported_endpoint")
        assert PATHS[0] in error["message"]
    assert len(vllm.received) == 1


def test_a_server_that_says_its_routes_is_not_asked(gateway, vllm):
    gateway.publish(provider(vllm.url, routes=frozenset({"/v1/audio/translations"})))

    answer = ask(gateway, PATHS[0], FILE + model(MODEL) + END)

    assert error_of(answer)["message"].endswith("It has /v1/audio/translations.")
    assert vllm.received == []


def test_a_refusal_of_the_server_is_relayed(gateway, vllm):
    body = b'{"error":{"message":"Invalid file","type":"BadRequestError","param":null,"code":400}}'
    vllm.will_answer(400, [("content-type", "application/json")], body)

    answer = ask(gateway, PATHS[0], FILE + model(MODEL) + END)

    assert (answer.status, answer.body) == (400, body)


def test_the_server_is_left_when_the_client_leaves(gateway, vllm):
    vllm.will_stall()
    client = gateway.connect()
    body = FILE + model(MODEL) + END
    client.send(request("POST", PATHS[0], body, [("Content-Type", TYPE)]))
    vllm.wait_until_received()
    client.close()

    vllm.wait_until_left()


@pytest.fixture
def client(gateway):
    with openai.OpenAI(api_key=MASTER_KEY, base_url=f"{gateway.url}/v1", max_retries=0) as official:
        yield official.audio


def test_openais_own_client_transcribes(gateway, vllm, client):
    vllm.will_answer(200, [("content-type", "application/json")], TEXT)

    said = client.transcriptions.create(model=f"alpha/{MODEL}", file=("a.wav", WAV))

    assert said.text == "Hello A"
    assert WAV in vllm.received[0].body
    assert f'name="model"\r\n\r\n{MODEL}\r\n'.encode() in vllm.received[0].body


def test_openais_own_client_gets_a_stream(gateway, vllm, client):
    events = [
        b'data: {"type":"transcript.text.delta","delta":"%b"}\n\n' % word for word in (b"H", b"i")
    ]
    vllm.will_stream(*events, b"data: [DONE]\n\n")

    stream = client.transcriptions.create(model=MODEL, file=("a.wav", WAV), stream=True)

    assert "".join(event.delta for event in stream) == "Hi"


def test_openais_own_client_gets_plain_text(gateway, vllm, client):
    content_type, body = ANSWERS["srt"]
    vllm.will_answer(200, [("content-type", content_type)], body)

    text = client.transcriptions.create(model=MODEL, file=("a.wav", WAV), response_format="srt")

    assert text == body.decode()
