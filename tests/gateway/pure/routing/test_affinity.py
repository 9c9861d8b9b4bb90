"""The key of a session: what it hangs on, and what it does not."""

from __future__ import annotations

import json
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.routing import Session, affinity
from gateway.routing import session as session_of

ME, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
SYSTEM = {"role": "system", "content": "You are kind."}
HELLO = {"role": "user", "content": "Hello"}
FIRST = [SYSTEM, HELLO]
LATER = [*FIRST, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And now?"}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def of_body(body: bytes, owner: uuid.UUID = ME, session: bytes = b"") -> int:
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return session_of([(b"x-session-id", session)] if session else [], members, owner).key


def key(owner: Any = ME, session: Any = b"", **members: Any) -> int:
    return of_body(json.dumps(members).encode(), owner, session)


KEYS = {"chat": 1705548192, "tools": 851885950, "session": 4270401314, "prompt": 388775406}


def test_keys_are_the_same_in_every_process_and_release():
    """A change here moves every session of every installation to a server that knows nothing of
    it."""
    assert key(messages=FIRST) == KEYS["chat"]
    assert key(messages=FIRST, tools=TOOLS) == KEYS["tools"]
    assert key(session=b"s-1", messages=FIRST) == KEYS["session"]
    assert key(prompt="Once upon a time") == KEYS["prompt"]
    assert all(0 <= number < 2**32 for number in KEYS.values())


PARTS = [{"type": "text", "text": "You are kind."}]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"messages": FIRST}, separators=(",", ":")),
        json.dumps({"messages": FIRST}, indent=4),
        json.dumps({"model": "m", "stream": True, "messages": FIRST, "temperature": 1}),
        json.dumps({"messages": [{"content": "You are kind.", "role": "system"}, HELLO]}),
        json.dumps({"messages": [{"role": "system", "content": PARTS}, HELLO]}),
        json.dumps({"messages": [SYSTEM, {"role": "user", "content": [{"text": "Hello"}]}]}),
        json.dumps({"messages": [SYSTEM, {**HELLO, "name": None}]}),
        json.dumps({"messages": LATER}),
        '{"messages":  [{"role":"system","content":"You are k\\u0069nd."},'
        '{"role":"user","content":"Hello"}]}',
    ],
)
def test_the_same_first_turns_are_the_same_session_however_they_are_written(body):
    assert of_body(body.encode()) == key(messages=FIRST)


def test_later_turns_do_not_change_it_nor_what_is_not_the_prompt():
    assert key(messages=LATER, max_tokens=5) == key(messages=FIRST, seed=1)


@pytest.mark.parametrize(
    "other",
    [
        {"owner": OTHER, "messages": FIRST},
        {"messages": [{"role": "system", "content": "You are rude."}, HELLO]},
        {"messages": [HELLO]},
        {"messages": [SYSTEM, {"role": "user", "content": "Hullo"}]},
        {"messages": [{**SYSTEM, "role": "developer"}, HELLO]},
        {"messages": [SYSTEM, SYSTEM, HELLO]},
        {"messages": FIRST, "tools": TOOLS},
        {"messages": FIRST, "system": "Be brief."},
        {"messages": FIRST, "session": b"s-1"},
        {"messages": FIRST, "prompt_cache_key": "s-1"},
    ],
)
def test_what_tells_conversations_apart(other):
    assert key(**other) != key(messages=FIRST)


def test_an_image_counts_as_it_is():
    def asked(url: str) -> int:
        part = {"type": "image_url", "image_url": {"url": url}}
        return key(
            messages=[{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}]
        )

    assert asked("data:,a") == asked("data:,a") != asked("data:,b")


# Sessions that are named

NAMED: list[dict[str, Any]] = [
    {"session": b"s-1"},
    {"prompt_cache_key": "s-1"},
    {"conversation": "s-1"},
    {"conversation": {"id": "s-1"}},
]


@pytest.mark.parametrize("named", NAMED)
def test_a_session_that_is_named_is_that_one_whatever_is_said_in_it(named):
    assert key(messages=FIRST, **named) == key(messages=[HELLO], tools=TOOLS, **named)
    assert key(messages=FIRST, **named) == key(session=b"s-1")


@pytest.mark.parametrize("named", NAMED)
def test_its_name_means_nothing_at_another_caller(named):
    assert key(OTHER, **named) != key(ME, **named)


def test_the_header_stands_before_the_members_and_the_cache_key_before_the_conversation():
    both = {"prompt_cache_key": "b", "conversation": "c"}
    assert key(session=b"a", **both) == key(session=b"a")
    assert key(**both) == key(session=b"b")


@pytest.mark.parametrize("nameless", ["", None, 7, [], ["s"], {}, {"id": None}, {"id": ["s"]}])
def test_a_name_that_is_none_names_nothing(nameless):
    plain = key(messages=FIRST)
    assert key(messages=FIRST, prompt_cache_key=nameless) == plain
    assert key(messages=FIRST, conversation=nameless) == plain


# Other dialects


def test_the_system_prompt_of_anthropics_messages_counts_as_text_or_in_parts():
    said = key(system="You are kind.", messages=[HELLO])
    assert key(system=PARTS, messages=[HELLO, *LATER[2:]]) == said
    assert key(system="You are rude.", messages=[HELLO]) != said
    assert key(messages=[HELLO]) != said


def test_instructions_and_the_first_turns_of_responses_count():
    items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]
    said = key(instructions="Be kind.", input=items)
    assert key(instructions="Be kind.", input=[*items, {"type": "reasoning"}, HELLO]) == said
    assert key(instructions="Be kind.", input=[HELLO]) != said
    assert key(instructions="Be rude.", input=items) != said
    assert key(instructions="Be kind.", input="Hi") == said


def test_an_item_that_is_no_message_ends_the_first_turns():
    result = {"type": "function_call_output", "call_id": "c", "output": "42"}
    assert key(input=[result, HELLO]) == key(input=[result])
    assert key(input=[{**result, "output": "43"}]) != key(input=[result])


@pytest.mark.parametrize("member", ["input", "prompt"])
def test_a_prompt_may_be_one_text(member):
    assert key(**{member: "Once"}) == key(**{member: "Once"})
    assert key(**{member: "Once"}) != key(**{member: "Twice"})


def test_of_a_list_of_prompts_the_first_counts():
    assert key(prompt=["Once", "more"]) == key(prompt=["Once"]) != key(prompt=["Twice"])


def test_of_a_long_text_the_beginning_counts():
    long = "x" * (2 * affinity.MOST_HASHED_BYTES)
    assert key(prompt=long + "a") == key(prompt=long + "b") != key(prompt="y" + long)


def test_of_long_first_turns_the_beginning_counts():
    long = "x" * (2 * affinity.MOST_HASHED_BYTES)
    assert key(messages=[{**SYSTEM, "content": long}, HELLO]) == key(
        messages=[{**SYSTEM, "content": long}, {**HELLO, "content": "Bye"}]
    )


# What no client should send

MEMBERS = ("messages", "tools", "system", "instructions", "input", "prompt", "prompt_cache_key",
           "conversation")  # fmt: skip
names = st.sampled_from(["role", "content", "text", "id", "type", "x"]) | st.text(max_size=3)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["user", "system"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(MEMBERS), anything))
@example({"messages": [{"role": [], "content": "x"}]})
@example({"messages": [{"role": {}, "content": "x"}]})
@example({"tools": [{"x": 2**80}], "messages": [{"content": {"content": [None]}}]})
def test_no_json_at_all_raises_and_each_has_the_same_key_again(members):
    assert 0 <= key(**members) < 2**32
    assert key(**members) == key(**members)


@given(st.sampled_from(MEMBERS), st.binary(max_size=20))
@example("messages", b'["\xff"]')
@example("messages", b"[1e999]")
@example("messages", b'[{"role":"\\ud800"}]')
@example("tools", b"[123456789012345678901234567890]")
def test_nor_do_bytes_that_are_no_json(member, said):
    assert 0 <= session_of([], {member: msgspec.Raw(said)}, ME).key < 2**32


@pytest.mark.parametrize(
    ("opened", "inmost", "closed"),
    [(b"[", b"", b"]"), (b'{"content":', b"1", b"}"), (b'{"x":', b"1", b"}")],
)
@pytest.mark.parametrize("member", ["messages", "tools", "conversation"])
def test_nor_does_any_depth(member, opened, inmost, closed):
    """From one that can be walked to one that cannot be read."""
    for depth in [*range(600, 1001, 2), 100_000]:
        said = msgspec.Raw(opened * depth + inmost + closed * depth)
        assert 0 <= session_of([], {member: said}, ME).key < 2**32


def test_a_member_of_many_megabytes_is_not_decoded():
    """Broken at its end, it would have no key of its own if it were."""
    said = json.dumps([{"role": "user", "content": "x" * affinity.MOST_READ_BYTES}]).encode()
    assert len(said) > affinity.MOST_READ_BYTES

    def of(start: bytes) -> int:
        return session_of([], {"messages": msgspec.Raw(start + said + b" broken")}, ME).key

    assert of(b"") == of(b"") != of(b" ")


def test_what_is_nested_deep_is_one_part():
    """Each leaf would have to come up through every level, while all calls wait."""
    deep = msgspec.json.encode([{"role": "user", "content": nested("", 50, 20)}])
    assert len(list(affinity._parts({"messages": msgspec.Raw(deep)}))) < 50


def nested(leaf: Any, depth: int, width: int) -> Any:
    for _ in range(depth):
        leaf = [leaf]
    return [leaf] * width


def test_a_flood_of_empty_texts_is_not_hashed_to_its_end():
    many = [{"role": "user", "content": [""] * 100_000}]
    assert key(messages=many) == key(messages=[{"role": "user", "content": [""] * 50_000}])


# What many sessions share

LONG = {"role": "system", "content": "You are kind, and patient. " * 20}


def of(owner: Any = ME, session: bytes = b"", **members: Any) -> Session:
    raw = msgspec.json.decode(json.dumps(members).encode(), type=dict[str, msgspec.Raw])
    return session_of([(b"x-session-id", session)] if session else [], raw, owner)


def shared(**members: Any) -> int | None:
    return of(**members).prefix


def test_prefixes_are_the_same_in_every_process_and_release():
    """A change here moves every session with a system prompt worth the name."""
    assert shared(messages=[LONG, HELLO]) == 1313708013


def test_what_stands_before_the_first_turn_is_shared_by_whoever_sends_it():
    one = of(messages=[LONG, HELLO])
    other = of(owner=OTHER, messages=[LONG, {"role": "user", "content": "Hullo"}])
    assert one.prefix == other.prefix is not None
    assert one.key != other.key


@pytest.mark.parametrize("named", [{"session": b"s-1"}, {"prompt_cache_key": "s-1"}])
def test_a_session_that_is_named_shares_what_it_says(named):
    assert shared(messages=[LONG, HELLO], **named) == shared(messages=[LONG, HELLO])
    assert of(messages=[LONG, HELLO], **named).key == of(messages=[SYSTEM], **named).key


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{**LONG, "content": LONG["content"] + "Now."}, HELLO]},
        {"messages": [LONG, HELLO], "tools": TOOLS},
        {"messages": [LONG, HELLO], "cache_salt": "mine"},
        {"messages": [LONG, SYSTEM, HELLO]},
    ],
)
def test_what_tells_prefixes_apart(other):
    assert shared(**other) not in {None, shared(messages=[LONG, HELLO])}


def test_of_a_batch_the_first_conversation_counts_as_it_would_alone():
    one, other = [LONG, HELLO], [LONG, {"role": "user", "content": "Hullo"}]
    assert of(messages=[one, other]) == of(messages=[one]) == of(messages=one)
    assert of(messages=[other]).prefix == of(messages=one).prefix
    assert of(messages=[[*LATER, LONG]]).prefix is None


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "user", "content": LONG["content"]}]},
        {"messages": [SYSTEM, HELLO]},
        {"prompt": LONG["content"]},
        {"input": LONG["content"]},
        {},
    ],
)
def test_what_a_user_says_is_not_shared_nor_what_is_short(members):
    assert shared(**members) is None


@pytest.mark.parametrize(
    "members",
    [
        {"system": LONG["content"], "messages": [HELLO]},
        {"instructions": LONG["content"], "input": "Hello"},
        {"tools": TOOLS * 5, "messages": [HELLO]},
    ],
)
def test_every_api_has_its_place_for_it(members):
    assert shared(**members) is not None


def test_of_a_long_prefix_the_beginning_counts():
    text = "x" * affinity.MOST_HASHED_BYTES
    long, longer = ({"role": "system", "content": text + end} for end in "ab")
    assert shared(messages=[long, HELLO]) == shared(messages=[longer, HELLO]) is not None
