"""Calls that Aurora reads in detail may hold so many values; those it hands on may hold more."""

from __future__ import annotations

import pytest

from tests import recorded
from tests.mounted import MODEL, error_of

NUMBERS = b"[" + b",".join([b"7"] * 100_000) + b"]"
ANSWER = recorded.load("rerank_rerank_rerank")


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/v1/responses", "input"),
        ("/v1/responses/input_tokens", "tools"),
        ("/v1/rerank", "rank_fields"),
        ("/v1/conversations", "items"),
    ],
)
def test_far_too_many_values_are_refused_at_once(gateway, vllm, path, member):
    model = b"" if member == "items" else b'"model":"alpha/%b",' % MODEL.encode()

    answer = gateway.call("POST", path, b'{%b"%b":%b}' % (model, member.encode(), NUMBERS))

    assert (answer.status, error_of(answer)["param"]) == (400, member)
    assert "more than 100000 values" in error_of(answer)["message"]
    assert not vllm.received


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/detokenize", "/v1/chat/completions"])
def test_what_goes_on_as_it_came_may_be_as_many_numbers_as_there_are(gateway, vllm, path):
    vllm.will_replay(ANSWER)
    body = b'{"model":"%b","input":' + NUMBERS + b"}"

    answer = gateway.call("POST", path, body.replace(b"%b", b"alpha/" + MODEL.encode()))

    assert answer.status == 200
    assert vllm.received[0].body == body.replace(b"%b", MODEL.encode())
