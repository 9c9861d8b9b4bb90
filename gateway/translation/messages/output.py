"""How the model is to answer: thinking, effort, and the format of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from gateway.abilities import Ability
from gateway.translation import raw
from gateway.translation.raw import Json

OFF = {"enable_thinking": b"false", "thinking": b"false"}
"""By the two names that chat templates have for the switch."""
ON = "high"
"""The one effort that servers of any age and model take. vLLM also turns thinking on for it."""


EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})


class Thinking(Struct):
    type: str = ""
    budget_tokens: Raw = raw.NULL


class Format(Struct):
    type: Literal["json_schema"]
    schema: Raw


class OutputConfig(Struct):
    effort: Raw = raw.NULL
    format: Format | None = None


_THINKING = msgspec.json.Decoder(Thinking)
_OUTPUT_CONFIG = msgspec.json.Decoder(OutputConfig)
_FORMAT = msgspec.json.Decoder(Format)
_TEMPLATE = msgspec.json.Decoder(dict[str, Raw])


@dataclass(slots=True)
class Output:
    template: dict[str, Json] = field(default_factory=dict)
    """For `chat_template_kwargs`."""
    effort: str | None = None
    """For `reasoning_effort`, as the client says it."""
    thinks: bool = False
    budget_tokens: int | None = None
    """For `thinking_token_budget`."""
    schema: Json | None = None

    def hints(self, members: Mapping[str, Json], max_tokens: int) -> dict[Ability, Json]:
        """How much to think. Not every server takes these."""
        made: dict[Ability, Json] = {}
        effort = self._effort(members)
        if effort is not None:
            made[Ability.EFFORT] = raw.text(effort)
        if self.budget_tokens is not None and self.budget_tokens < max_tokens - 1:
            made[Ability.THINKING_BUDGET] = raw.number(self.budget_tokens)
        return made

    def chat_members(self, members: Mapping[str, Json]) -> dict[str, Json]:
        made = _template(self.template, members)
        if self.schema is not None:
            described = raw.object_of({"name": b'"json_schema"', "schema": self.schema})
            made["response_format"] = raw.object_of(
                {"type": b'"json_schema"', "json_schema": described}
            )
        return made

    def prompt_members(self, members: Mapping[str, Json]) -> dict[str, Json]:
        """For /tokenize, which knows no effort: what vLLM makes of one for the template."""
        effort = self._effort(members)
        said = members.get("reasoning_effort") if effort is None else raw.text(effort)
        if said is None or raw.is_null(said):
            return _template(self.template, members)
        on: dict[str, Json] = {"enable_thinking": b"true", "reasoning_effort": said}
        return _template(on | self.template, members)

    def _effort(self, members: Mapping[str, Json]) -> str | None:
        """None also where the client says it in vLLM's own member, which goes along."""
        implied = ON if self.thinks and "reasoning_effort" not in members else None
        return self.effort or implied


def _template(made: dict[str, Json], members: Mapping[str, Json]) -> dict[str, Json]:
    """What the client itself gives its template wins."""
    given = members.get("chat_template_kwargs", raw.NULL)
    if not raw.is_null(given):
        own = raw.read(_TEMPLATE, given, "chat_template_kwargs")
        made = {**made, **own}
    return {"chat_template_kwargs": raw.object_of(made)} if made else {}


def read(members: Mapping[str, Json]) -> Output:
    """What `thinking`, `output_config` and `output_format` ask. Raises InvalidRequest.

    How much to think is a hint: of a kind or a size that nobody here knows, it is left out. A
    `format` is no hint: an answer without it would be another.

    `thinking`: `enabled` is an effort, since only an effort reaches every kind of template, and
    models with a tokenizer of Mistral's refuse a call with `chat_template_kwargs`. `disabled` does
    need these: the servers that calls are translated for do not know the effort `none`. With
    `adaptive`, and any other type, it is the template's choice. `budget_tokens` is a limit of its
    own (`thinking_token_budget`) unless `max_tokens` is that limit already, as in the calls of
    clients that let a model think as long as it may. `display` is not read: vLLM shows all of its thinking.
    """
    output = Output()
    if "thinking" in members:
        _think(output, raw.read(_THINKING, members["thinking"], "thinking"))
    if "output_config" in members:
        _configure(output, raw.read(_OUTPUT_CONFIG, members["output_config"], "output_config"))
    if "output_format" in members:
        if output.schema is not None:
            raise raw.invalid("output_format", "says again what `output_config.format` says.")
        output.schema = raw.read(_FORMAT, members["output_format"], "output_format").schema
    return output


def _think(output: Output, thinking: Thinking) -> None:
    if thinking.type == "disabled":
        output.template = dict(OFF)
    elif thinking.type == "enabled":
        output.thinks = True
        output.budget_tokens = raw.whole_number(thinking.budget_tokens)


def _configure(output: Output, config: OutputConfig) -> None:
    effort = raw.string(config.effort)
    output.effort = effort if effort in EFFORTS else None
    output.schema = config.format.schema if config.format else None
