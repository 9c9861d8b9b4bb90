"""What servers turned out to lack is remembered for a while."""

from __future__ import annotations

import json

import pytest

from gateway import refusals
from gateway.abilities import MOST_REMEMBERED, REMEMBERED_SECONDS, Abilities, Ability
from tests.mounted import provider

ALPHA = provider("http://127.0.0.1:1")


def said(message: object) -> bytes:
    return json.dumps({"error": {"message": message, "type": "BadRequestError"}}).encode()


@pytest.mark.parametrize(
    ("message", "ability"),
    [
        ("org/model is not a multimodal model", Ability.IMAGES),
        ("At most 0 image(s) may be provided in one prompt.", Ability.IMAGES),
        ("thinking_token_budget is set but reasoning_config is not configured.", Ability.THINKING_BUDGET),
        ("reasoning_effort='max' is not supported by Harmony.", Ability.EFFORT),
        ("1 validation error: {'loc': ('body', 'reasoning_effort'), 'msg': \"Input should be 'low'\"}", Ability.EFFORT),
    ],
)  # fmt: skip
def test_a_refusal_tells_what_is_lacking(message, ability):
    lack = refusals.lack(400, said(message))

    assert lack is not None
    assert (lack.ability, lack.status, str(lack)) == (ability, 400, message)
    assert refusals.lack(500, said(message)) is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", said(None), said("This model's maximum context length is 9")]
)
def test_a_refusal_for_another_reason_tells_of_no_lack(body):
    assert refusals.lack(400, body) is None


@pytest.mark.parametrize(
    "message",
    [
        "1 validation error: {'loc': 'body.seed', 'input': 'm is not a multimodal model'}",
        "The tool 'At most 0 image(s) may be provided in one prompt.' is unknown",
        "2 validation errors: {'loc': 'body.seed', 'input': \"'loc': 'body.reasoning_effort'\"}",
        "1 validation error: {'type': 'int', 'loc': 'body.seed', 'input': 'body.reasoning_effort'}",
        "Bad stop: thinking_token_budget is set but",
        "Bad stop: reasoning_effort='x' is not supported by",
    ],
)
def test_words_of_the_caller_that_a_refusal_quotes_tell_of_no_lack(message):
    assert refusals.lack(400, said(message)) is None


def test_what_is_lacking_is_of_one_server_and_model_and_forgotten_in_time():
    now = [0.0]
    abilities = Abilities(lambda: now[0])

    abilities.note_lack(ALPHA, "m", Ability.IMAGES)
    abilities.note_lack(ALPHA, "m", Ability.EFFORT)

    assert abilities.lacking(ALPHA, "m") == {Ability.IMAGES, Ability.EFFORT}
    assert not abilities.lacking(ALPHA, "n")
    assert not abilities.lacking(provider("http://127.0.0.1:2"), "m")
    now[0] = REMEMBERED_SECONDS
    assert not abilities.lacking(ALPHA, "m")


def test_no_more_is_remembered_than_there_is_room_for():
    abilities = Abilities()
    for number in range(MOST_REMEMBERED + 1):
        abilities.note_lack(ALPHA, f"m{number}", Ability.IMAGES)

    assert not abilities.lacking(ALPHA, "m0")
    assert abilities.lacking(ALPHA, f"m{MOST_REMEMBERED}")
