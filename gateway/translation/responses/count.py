"""`POST /v1/responses/input_tokens`, counted by the server's own tokenizer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.abilities import NO_ABILITIES, Ability
from gateway.errors import UpstreamBroke
from gateway.translation import EventStream, Translation
from gateway.translation.chat import TOKENIZE, counted
from gateway.translation.documents import NO_PDFS, PdfTexts
from gateway.translation.responses import options, reading
from gateway.translation.responses.request import naming, prompt, read_items, read_tools

_PASSED = ("chat_template", "chat_template_kwargs", "add_generation_prompt",
           "continue_final_message", "add_special_tokens", "mm_processor_kwargs",
           "media_io_kwargs")  # fmt: skip


@dataclass(slots=True)
class CountCall:
    """A Translation to vLLM's tokenizer."""

    path: str
    body: bytes = field(repr=False)
    uses: frozenset[Ability] = NO_ABILITIES

    def whole(self, answer_body: bytes) -> bytes:
        tokens = counted(answer_body)
        return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})

    def stream(self) -> EventStream:
        raise UpstreamBroke("A count of tokens does not come as a stream.")


def to_tokenize(
    members: Mapping[str, msgspec.Raw],
    model: str,
    *,
    context_length: int = 0,
    pdfs: PdfTexts = NO_PDFS,
) -> Translation:
    """The call's prompt, to be counted as `model` would read it. Raises InvalidRequest."""
    listed = read_items(members)
    toolbox = read_tools(members, listed)
    chat = options.mapped(members)
    body: dict[str, Any] = {
        "model": model,
        **prompt(members, listed, chat, naming(context_length, "previous_response_id"), pdfs),
        **{name: chat[name] for name in _PASSED if name in chat},
    }
    effort = chat.get("reasoning_effort")
    if effort is not None:
        body["chat_template_kwargs"] = _thinking(members, effort)
    described = toolbox.members().get("tools")
    if described:
        body["tools"] = described
    return CountCall(TOKENIZE, reading.encoded(body, "input"))


def _thinking(members: Mapping[str, msgspec.Raw], effort: str) -> dict[str, Any]:
    """What vLLM tells the chat template of an effort, which /tokenize does not take itself."""
    raw = members.get("chat_template_kwargs")
    given = None if raw is None else reading.decoded(raw, "chat_template_kwargs")
    own = {} if given is None else reading.mapping(given, "chat_template_kwargs")
    return {"enable_thinking": effort != "none", **own, "reasoning_effort": effort}
