"""One log line a call, on every ending, with all that an operator needs and nothing secret.

That there is exactly one, and that no line of any logger holds a key, is checked after each test
of this folder, by the fixture `gateway` itself.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import datetime

import pytest

from tests.mounted import (
    CHAT,
    MASTER_KEY,
    MODEL,
    NO_HURRY,
    UPSTREAM_KEY,
    chat,
    error_of,
    provider,
    request,
)

HASTY = replace(NO_HURRY, upload_stall_seconds=0.2)
FIELDS = {
    "time", "level", "logger", "message", "request_id", "method", "path", "status", "provider",
    "model", "attempts", "key", "client", "ms", "ms_upstream", "bytes",
}  # fmt: skip
PRIVATE = "a private sentence of the client"


def test_a_good_call_is_told_in_full(gateway, vllm):
    answer = gateway.call("POST", CHAT, chat())

    line = gateway.record()
    assert set(line) == FIELDS
    assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert str(uuid.UUID(line["request_id"])) == answer.headers["x-request-id"]
    told = {name: line[name] for name in FIELDS - {"time", "request_id", "ms", "ms_upstream"}}
    assert told == {
        "level": "info",
        "logger": "aurora.calls",
        "message": "call",
        "method": "POST",
        "path": CHAT,
        "status": 200,
        "provider": "alpha",
        "model": MODEL,
        "attempts": 1,
        "key": "…ests",
        "client": "127.0.0.1",
        "bytes": len(answer.body),
    }


def test_the_times_are_those_of_the_whole_and_of_the_upstream(gateway, vllm):
    vllm.will_stream(b"data: 1\n\n", pause_seconds=0.1)
    gateway.call("POST", CHAT, chat(stream=True))

    line = gateway.record()
    assert 190 < line["ms_upstream"] <= line["ms"]


def test_the_bytes_are_those_of_the_body_as_sent(gateway, vllm):
    chunks = [b"data: 1\n\n", b"data: 22\n\n"]
    vllm.will_stream(*chunks)
    gateway.call("POST", CHAT, chat(stream=True))

    assert gateway.record()["bytes"] == sum(map(len, chunks))


def test_a_call_that_goes_nowhere_has_no_provider_and_no_time_upstream(gateway):
    gateway.call("POST", CHAT, b'{"model":"nobody"}')

    line = gateway.record()
    assert set(line) == FIELDS | {"reason"}
    assert (line["provider"], line["model"], line["ms_upstream"]) == ("", "", 0)
    assert line["attempts"] == 0
    assert line["key"] == "…ests"


@pytest.mark.parametrize(
    ("method", "target", "template"),
    [
        ("GET", "/v1/models?secret=1", "/v1/models"),
        ("GET", "/v1/models/alpha/private", "/v1/models/{id}"),
        ("GET", "/a/private/path", "unmatched"),
        ("POST", "/p/alpha/tokenize?a=private", "/p/{provider}/tokenize"),
        ("POST", "/p/nobody/tokenize", "/p/{provider}/tokenize"),
        ("POST", "/p/alpha/private", "/p/{passage}"),
        ("DELETE", "/p/alpha/adapters/private", "/p/{provider}/adapters/{name}"),
        ("PUT", CHAT, CHAT),
        ("DELETE", "/v1/models/alpha/private", "/v1/models/{id}"),
    ],
)
def test_a_path_is_logged_as_its_template(gateway, method, target, template):
    gateway.call(method, target, b"{}" if method == "POST" else b"")

    line = gateway.record()
    assert (line["method"], line["path"]) == (method, template)
    assert "private" not in str({**line, "reason": ""})


@pytest.mark.parametrize("path", [CHAT, "/p/alpha/v1/chat/completions"])
@pytest.mark.parametrize("body", ["good", "refused", "refused barely", "broken off", "bad JSON"])
def test_no_text_of_the_conversation_is_logged(gateway, vllm, path, body):
    message = chat(messages=[{"role": "user", "content": PRIVATE}])
    said = b'{"error":{"message":"%b"}}' % PRIVATE.encode()
    if body == "refused":
        vllm.will_answer(400, [("content-type", "application/json")], said)
    if body == "refused barely":
        vllm.will_answer(400, [], b'{"detail":"%b"}' % PRIVATE.encode())
    if body == "broken off":
        vllm.will_cut_after(said)
    if body == "bad JSON":
        message += PRIVATE.encode()
    gateway.call("POST", path, message, [("X-Note", PRIVATE), ("Cookie", PRIVATE)])

    assert gateway.record()
    assert PRIVATE not in gateway.log_text


def test_a_reason_holds_no_more_than_was_told(gateway):
    answer = gateway.call("POST", CHAT, b'{"model":"%b"}' % (b"m" * 512))

    error = answer.json["error"]
    assert gateway.record()["reason"] == f"{error['code']}: {error['message']}"


def test_a_line_is_one_line_whatever_the_client_wrote(gateway):
    gateway.post(CHAT, {"model": 'a\n{"level":"forged"}\r\n\u2028'})
    gateway.call("GET", "/a%0a%7b%22level%22:%22forged%22%7d")

    assert len(gateway.records) == 2
    assert len(gateway.log_text.split("\n")) == gateway.log_text.count('"time"')


def told(answer):
    """The reason of a call whose error Aurora worded itself."""
    error = error_of(answer)
    return f"{error['code']}: {error['message']}"


class Endings:
    """Each way a call may end, by name; every one is tried and must leave one line."""

    def __init__(self, gateway, vllm):
        self.gateway, self.vllm = gateway, vllm

    def answered(self):
        self.gateway.call("POST", CHAT, chat())
        return 200, None

    def streamed(self):
        self.gateway.call("POST", CHAT, chat(stream=True))
        return 200, None

    def listed(self):
        self.gateway.call("GET", "/v1/models")
        return 200, None

    def unauthorized(self):
        self.gateway.call("POST", CHAT, chat(), key="wrong")
        return 401, "invalid_api_key: This key is not known here, or no longer valid."

    def refused_by_vllm(self):
        self.vllm.will_answer(400, [], b'{"error":{"message":"no"}}')
        self.gateway.call("POST", CHAT, chat())
        return 400, "upstream_400"  # the words are for the client alone

    def refused_by_vllm_barely(self):
        self.vllm.will_answer(429, [], b'{"detail":"no"}')
        self.gateway.call("POST", CHAT, chat())
        return 429, "upstream_429"

    def refused_by_vllm_past_the_gateways_routes(self):
        self.vllm.will_answer(503, [], b'{"error":{"message":"no"}}')
        self.gateway.call("POST", "/p/alpha/tokenize", b"{}")
        return 503, "upstream_503"

    def unreachable(self):
        self.vllm.will_refuse()
        answer = self.gateway.call("POST", CHAT, chat())
        return 502, told(answer)

    def cut_stream(self):
        self.vllm.will_cut_after(b"data: 1\n\n")
        answer = self.gateway.call("POST", CHAT, chat(stream=True))
        error = json.loads(answer.chunks[-1].removeprefix(b"data: "))["error"]
        return 200, f"upstream_broke: {error['message']}"

    def left_early(self):
        self.vllm.will_stall()
        with self.gateway.connect() as client:
            client.send(request("POST", CHAT, chat()))
            self.vllm.wait_until_received()
        return 0, "the client left"

    def left_within_a_stream(self):
        self.vllm.will_stall(after_chunks=[b"data: 1\n\n"])
        with self.gateway.connect() as client:
            client.send(request("POST", CHAT, chat(stream=True)))
            client.read_head()
        return 200, "the client left"

    def stalled_upload(self):
        client = self.gateway.connect()
        client.send(request("POST", CHAT, chat())[:-1])
        answer = client.read_answer()
        client.close()
        return 408, told(answer)

    def stopped(self):
        self.vllm.will_stall()
        client = self.gateway.connect()
        client.send(request("POST", CHAT, chat()))
        self.vllm.wait_until_received()
        self.gateway.cancel_calls()
        assert client.read_answer().status == 503
        return 503, "cancelled: Aurora is stopping"


@pytest.mark.parametrize(
    ("ending", "limits"),
    [
        (name, HASTY if name == "stalled_upload" else NO_HURRY)
        for name in vars(Endings)
        if not name.startswith("_")
    ],
)
def test_a_call_leaves_one_line_that_says_how_it_ended(gateway, vllm, ending):
    status, reason = getattr(Endings(gateway, vllm), ending)()

    gateway.wait_until_idle()
    [line] = gateway.records
    assert (line["status"], line.get("reason")) == (status, reason)


def test_keys_are_in_no_answer_and_no_line(gateway, vllm):
    """Every kind of failure, one after the other, and everything that was said of them."""
    said = []
    for status in (400, 401, 403, 404, 429, 500, 503):
        vllm.will_answer(status, [("authorization", UPSTREAM_KEY)], b"")
        said.append(str(gateway.call("POST", CHAT, chat())))
    gateway.publish(provider("http://127.0.0.1:1"))
    said.append(str(gateway.call("POST", CHAT, chat())))
    gateway.publish(provider(vllm.url, problem="no"))
    said.append(str(gateway.call("POST", CHAT, chat())))
    said.append(gateway.log_text)
    said.append(repr(gateway.catalog.current()))

    assert not [text for text in said if UPSTREAM_KEY in text or MASTER_KEY in text]


@pytest.mark.parametrize(("status", "level"), [(500, "warning"), (503, "warning"), (400, "info")])
def test_a_call_that_a_server_failed_is_a_warning(gateway, vllm, status, level):
    vllm.will_answer_json(status, {"error": {"message": "x", "type": "y", "code": status}})
    gateway.call("POST", CHAT, chat())

    assert gateway.record()["level"] == level
