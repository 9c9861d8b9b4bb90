"""Whatever a client or a server sends, it is understood, refused, or the server's fault."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calls import read_members
from gateway.errors import InvalidRequest, UnknownItem, UpstreamBroke
from gateway.translation.responses import Echo, expanded, read, to_chat, to_tokenize
from tests.gateway.pure.translation.responses_client import (
    MODEL,
    chunk,
    members,
    stamp,
    told,
    translated,
    unhurried,
)

words = st.sampled_from(
    ["type", "role", "content", "text", "id", "name", "arguments", "call_id", "output", "input",
     "tools", "format", "schema", "effort", "mode", "summary", "encrypted_content", "image_url"]
) | st.text(max_size=3)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
kinds = st.sampled_from(
    ["message", "function", "custom", "namespace", "reasoning", "function_call", "input_text",
     "function_call_output", "custom_tool_call", "item_reference", "allowed_tools", "json_schema",
     "output_text", "input_image", "input_audio", "grammar", "input_file", "encrypted_content",
     "agent_message", "additional_tools", "tool_search_output", "compaction", "local_shell_call",
     "mcp_call", "web_search", "yet_unknown"]
)  # fmt: skip
typed = st.builds(lambda value, kind: {**value, "type": kind},
                  st.dictionaries(words, json_values, max_size=4), kinds)  # fmt: skip
odd = typed | json_values | st.lists(typed | json_values, max_size=3)
named = st.sampled_from(
    ["input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "metadata",
     "stream", "stream_options", "top_logprobs", "truncation", "conversation", "max_output_tokens",
     "previous_response_id", "background", "store", "service_tier", "top_k", "user"]
)  # fmt: skip


@unhurried
@given(st.dictionaries(named, odd, max_size=5))
def test_any_call_is_sent_or_refused(call):
    with contextlib.suppress(InvalidRequest, UnknownItem):
        given_members = members(call)
        ask = read(given_members, stamp())
        sent = expanded(given_members, ask, [], {})
        call_to_chat = to_chat(sent, MODEL, stamp(), Echo())
        json.loads(call_to_chat.body)
        json.loads(to_tokenize(sent, MODEL).body)
        told(call_to_chat.stream(), [chunk({"content": "a"}, finish_reason="stop")])


@pytest.mark.parametrize(
    "body",
    [
        b'{"input":"\xff"}',
        b'{"input":"hi","user":"\xff"}',
        b'{"input":[{"role":"user","content":"\xff"}]}',
        b'{"input":"hi","tools":[{"type":"function","name":"f","parameters":{"a":1e999}}]}',
        b'{"input":"hi","metadata":{"a":"\xff"}}',
        b'{"input":"hi","tool_choice":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
)
def test_what_is_only_almost_json_is_refused(body):
    with pytest.raises(InvalidRequest):
        to_chat(read_members(body), MODEL, stamp(), Echo())


@unhurried
@given(st.binary(max_size=60) | st.builds(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n",
                                          st.dictionaries(st.sampled_from(["choices", "usage", "error"]), odd)))  # fmt: skip
def test_any_answer_is_told_or_is_the_server_s_fault(answer):
    call = translated(
        {"stream": True, "top_logprobs": 1, "tools": [{"type": "custom", "name": "p"}]}
    )
    for read_it in (call.whole, lambda piece: told(call.stream(), [piece])):
        with contextlib.suppress(UpstreamBroke):
            read_it(answer)
