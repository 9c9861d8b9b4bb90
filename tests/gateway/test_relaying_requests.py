"""Of a request only the value of `model` changes; everything else reaches vLLM as it was sent."""

from __future__ import annotations

import pytest

from tests.mounted import CHAT, MODEL

MODEL_BYTES = MODEL.encode()

VALUES = {
    "exponent": b"1.0e5",
    "capital exponent": b"1E+2",
    "negative zero": b"-0.0",
    "trailing zero": b"0.10",
    "many digits": b"0.1234567890123456789012345",
    "huge integer": b"123456789012345678901234567890",
    "out of range": b"1e999",
    "null": b"null",
    "true": b"true",
    "empty text": b'""',
    "escapes": rb'"\u00e9\ud83d\ude00\/\n\""',
    "letters": '"é😀\u2028"'.encode(),
    "whitespace within": b'[ 1 ,\t2,\r\n {"a" : [ ] } ]',
    "not UTF-8, for vLLM to refuse": b'"\xff"',
    "nested": b'{"model":"inner","a":{"b":{"c":[null,{}]}}}',
    "given twice within": b'{"a":1,"a":2}',
    "long": b'"' + b"x" * 200_000 + b'"',
}


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/embeddings"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_other_members_bytes_are_kept(gateway, vllm, path, value):
    gateway.call("POST", path, b'{"x":%b,"model":"alpha/%b","y":%b}' % (value, MODEL_BYTES, value))

    assert vllm.received[0].path_and_query == path
    assert vllm.received[0].body == b'{"x":%b,"model":"%b","y":%b}' % (value, MODEL_BYTES, value)


def test_nothing_is_added_to_the_smallest_call(gateway, vllm):
    gateway.call("POST", CHAT, b'{"model":"alpha/%b"}' % MODEL_BYTES)

    assert vllm.received[0].body == b'{"model":"%b"}' % MODEL_BYTES
    assert vllm.received[0].headers["content-length"] == str(len(vllm.received[0].body))


def test_the_order_of_members_is_kept(gateway, vllm):
    names = [b"zeta", b"stream_options", b"a", b"provider", b"o", b"", "ü".encode()]
    members = b"".join(b',"%b":%d' % (name, at) for at, name in enumerate(names))
    gateway.call("POST", CHAT, b'{"model":"alpha/%b"%b}' % (MODEL_BYTES, members))

    assert vllm.received[0].body == b'{"model":"%b"%b}' % (MODEL_BYTES, members)


def test_a_name_written_with_escapes_is_the_same_name(gateway, vllm):
    gateway.call("POST", CHAT, rb'{"mod\u0065l":"alpha/%b","\u0061\"":1}' % MODEL_BYTES)

    assert vllm.received[0].json == {"model": MODEL, 'a"': 1}


@pytest.mark.parametrize(
    "body",
    [
        b' \r\n\t{ "model" : "alpha/%b" , "n" : 1 }\n ',
        b'{"n":1,"model":"alpha/%b"}',
        rb'{"n":1,"model":"\u0061lpha\/%b"}',
    ],
    ids=["whitespace", "model last", "model escaped"],
)
def test_the_model_is_found_however_it_is_written(gateway, vllm, body):
    gateway.call("POST", CHAT, body % MODEL_BYTES)

    assert vllm.received[0].json == {"model": MODEL, "n": 1}


def test_of_a_member_given_twice_only_the_last_is_sent(gateway, vllm):
    gateway.call(
        "POST",
        CHAT,
        b'{"model":"beta/other","n":1,"n":{"deep":[2]},"model":"alpha/%b","n":3.0}' % MODEL_BYTES,
    )

    assert vllm.received[0].body == b'{"model":"%b","n":3.0}' % MODEL_BYTES


def test_a_chunked_upload_is_sent_with_its_length(gateway, vllm):
    body = b'{"model":"alpha/%b"}' % MODEL_BYTES
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    answer = gateway.call("POST", CHAT, chunks, [("Transfer-Encoding", "chunked")])

    assert answer.status == 200
    assert vllm.received[0].body == b'{"model":"%b"}' % MODEL_BYTES
    assert vllm.received[0].headers["content-length"] == str(len(vllm.received[0].body))


def test_the_query_is_kept(gateway, vllm):
    gateway.call("POST", f"{CHAT}?api-version=1&a=%2F&&b", b'{"model":"alpha/%b"}' % MODEL_BYTES)

    assert vllm.received[0].path_and_query == f"{CHAT}?api-version=1&a=%2F&&b"
