"""What real clients send and vLLM takes: each goes through, and means what it meant."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
import zstandard

from providers.snapshot import AliasEntry, TargetEntry
from tests.gateway.messages.anthropic import MESSAGES, chat_only, message
from tests.mounted import CHAT, MODEL, error_of, pairs_named, provider

EMBED = "BAAI/bge-m3"
CUT = b'{"model":"%b","messages":[{"role":"user","content":"cut %b here"}]}'
HALF = rb"\ud83d"


def plain() -> bytes:
    return CUT % (MODEL.encode(), b"off")


def test_a_string_that_was_cut_within_an_emoji_is_relayed_as_it_came(gateway, vllm):
    body = CUT % (MODEL.encode(), HALF)

    assert gateway.call("POST", CHAT, body).status == 200

    assert vllm.received[0].body == body


def test_where_it_is_translated_the_half_is_replaced(gateway, vllm):
    gateway.publish(chat_only(vllm))
    body = message().replace(b"Hello", b"Hello " + HALF)

    assert gateway.call("POST", MESSAGES, body).status == 200

    [turn] = vllm.received[0].json["messages"]
    assert "Hello \ufffd" in turn["content"]


def test_a_byte_order_mark_before_the_body_is_taken(gateway, vllm):
    assert gateway.call("POST", CHAT, b"\xef\xbb\xbf" + plain()).status == 200

    assert vllm.received[0].body == plain()


def test_a_name_beyond_ascii_in_a_header_reaches_the_server_as_it_came(gateway, vllm):
    name = "Bj\u00c5rn".encode().decode("latin-1")

    assert gateway.call("POST", CHAT, plain(), [("X-Name", name)]).status == 200

    assert pairs_named(vllm.received[0].header_pairs, "x-name") == [name]


@pytest.mark.parametrize(
    "path",
    [f"{CHAT}/", f"/{CHAT}", "/v1//chat/completions", f"{CHAT}//?x=1", f"/p/alpha{CHAT}/"],
)
def test_a_slash_too_many_is_taken(gateway, vllm, path):
    assert gateway.call("POST", path, plain()).status == 200

    assert vllm.received[0].path.partition("?")[0] == CHAT


def test_a_models_page_with_a_slash_is_that_page(gateway):
    listed = gateway.call("GET", "/v1/models/")
    shown = gateway.call("GET", f"/v1/models/{MODEL}/")

    assert (listed.json["object"], shown.json["id"]) == ("list", MODEL)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/v1/messages", "/v1/messages"),
        ("/chat/completions", CHAT),
        ("/v1/v1/models", "/v1/models"),
        ("/messages", "/v1/messages"),
    ],
)
def test_a_base_url_with_v1_too_often_or_not_at_all_is_named(gateway, path, meant):
    answer = gateway.call("POST", path, plain())

    assert answer.status == 404
    assert f"{meant} is served here: the base URL of" in error_of(answer)["message"]


def test_a_path_of_nobodys_gets_no_advice(gateway):
    assert "base URL" not in error_of(gateway.call("GET", "/nowhere"))["message"]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("encoding", PACKED)
def test_a_packed_body_is_unpacked(gateway, vllm, encoding):
    packed = PACKED[encoding](plain())

    answer = gateway.call("POST", CHAT, packed, [("Content-Encoding", encoding)])

    assert answer.status == 200
    [call] = vllm.received
    assert call.body == plain()
    assert pairs_named(call.header_pairs, "content-encoding") == []
    assert pairs_named(call.header_pairs, "content-length") == [str(len(plain()))]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_packed_body_that_is_too_large_unpacked_is_413(gateway, vllm, encoding):
    bomb = PACKED[encoding](b"{" + b" " * 2**24)
    assert len(bomb) < 2**20

    answer = gateway.call("POST", CHAT, bomb, [("Content-Encoding", encoding)])

    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")
    assert vllm.received == []


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize(
    "spoil", [lambda body: body[:-5], lambda body: body + b"x", lambda _: b"{}"]
)
def test_a_packed_body_that_is_broken_is_400(gateway, vllm, encoding, spoil):
    spoilt = spoil(PACKED[encoding](plain()))

    answer = gateway.call("POST", CHAT, spoilt, [("Content-Encoding", encoding)])

    assert answer.status == 400
    assert encoding.lower() in error_of(answer)["message"]
    assert vllm.received == []


@pytest.mark.parametrize("encoding", ["br", "compress", "deflate, gzip", "identity, gzip"])
def test_a_body_packed_in_another_way_is_415_that_says_which_are_taken(gateway, vllm, encoding):
    answer = gateway.call("POST", CHAT, plain(), [("Content-Encoding", encoding)])

    assert (answer.status, error_of(answer)["code"]) == (415, "unsupported_content_encoding")
    assert "gzip" in error_of(answer)["message"]
    assert vllm.received == []


NAMELESS = [b"{}", b'{"model":null}', b'{"model":""}', b'{"messages":[]}', b'{"Model":"x"}']


@pytest.mark.parametrize("body", NAMELESS)
def test_a_call_without_a_model_goes_to_the_only_one(gateway, vllm, body):
    assert gateway.call("POST", CHAT, body).status == 200

    assert vllm.received[0].json == {**json.loads(body), "model": MODEL}


def test_of_many_models_a_call_without_one_goes_to_the_alias_default(gateway, vllm):
    gateway.publish(
        provider(vllm.url, models=[MODEL, EMBED]),
        aliases=[AliasEntry("default", ((TargetEntry("alpha", EMBED),),))],
    )

    assert gateway.call("POST", CHAT, b'{"messages":[]}').status == 200

    assert vllm.received[0].json["model"] == EMBED


@pytest.mark.parametrize("body", NAMELESS)
def test_of_many_models_without_that_alias_the_call_must_name_one(gateway, vllm, body):
    gateway.publish(provider(vllm.url, models=[MODEL, EMBED]))

    answer = gateway.call("POST", CHAT, body)

    error = error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_request", "model")
    assert "`default`" in error["message"]
    assert vllm.received == []


def test_a_form_without_a_model_goes_to_the_only_one(gateway, vllm):
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n'
    kind = ("Content-Type", "multipart/form-data; boundary=b")
    vllm.will_answer_json(200, {"text": "Hello"})

    assert gateway.call("POST", "/v1/audio/transcriptions", form, [kind]).status == 200

    field = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n' % MODEL.encode()
    assert vllm.received[0].body == field + form
