"""Anthropic's system prompt and turns as chat messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.translation import raw
from gateway.translation.messages import blocks
from gateway.translation.messages.blocks import (
    ImagePart,
    Part,
    RedactedThinking,
    Text,
    TextPart,
    Thinking,
    ToolReference,
    ToolResult,
    ToolUse,
)
from gateway.translation.raw import LINE_BREAK, Json

_BILLING = b'"x-anthropic-billing-header'
"""How a system text of Claude Code begins that differs with each call. As the first thing in the
prompt it would spoil the server's prefix cache for all that follows; vLLM leaves it out as well."""


@dataclass(slots=True)
class Conversation:
    messages: list[bytes] = field(default_factory=list)
    continues: bool = False
    """The last turn is the assistant's and ends in text: the answer goes on from there."""
    loaded: set[str] = field(default_factory=set)
    """The deferred tools that a tool result has brought in."""
    _system: list[bytes] = field(default_factory=list)
    """The text of each system message, where it has one."""

    def add_system(self, content: Json, where: str) -> None:
        """A system message amid the turns joins those before it, at the head of the conversation,
        behind a blank line; the blocks within one message join as they are.

        Many chat templates refuse one that stands anywhere else. Without any text there is none:
        a template's own system prompt then stands, as it does natively.
        """
        if raw.is_text(content):
            texts: list[Json] = [content]
        else:
            found = raw.read(blocks.TEXTS, content, where)
            texts = [raw.checked_text(b.text, f"{where}[{i}].text") for i, b in enumerate(found)]
        said = [
            text for text in texts if not (raw.is_empty_text(text) or raw.begins(text, _BILLING))
        ]
        if said:
            self._system.append(raw.joined(said))

    def add_user(self, content: Json, where: str) -> None:
        """Results of tools first, each a message of its own, as the call they answer demands."""
        if raw.is_text(content):
            self._add("user", content)
            return
        found = raw.read(blocks.OF_USER, content, where)
        shown: list[Part] = []
        results = [block for block in found if isinstance(block, ToolResult)]
        for i, block in enumerate(found):
            if isinstance(block, ToolResult):
                shown += self._add_result(block, f"{where}[{i}]", alone=len(results) == 1)
        for i, block in enumerate(found):
            if not isinstance(block, ToolResult):
                shown += blocks.parts(block, f"{where}[{i}]")
        if shown or not results:
            self._add("user", blocks.content_of(shown))

    def _add_result(self, result: ToolResult, where: str, *, alone: bool) -> list[Part]:
        """Gives back its images: few templates show one in a tool's message, all in a user's."""
        shown = self._shown(result, f"{where}.content")
        texts = [part.text for part in shown if isinstance(part, TextPart)]
        images = [part for part in shown if isinstance(part, ImagePart)]
        said = texts[0] if len(texts) == 1 else raw.joined(texts, LINE_BREAK)
        if result.is_error and bytes(memoryview(said)[1:6]).lower() != b"error":
            said = raw.joined((b'"Error: "', said))
        self._add("tool", said, tool_call_id=raw.text(result.tool_use_id))
        if images and not alone:
            return [TextPart(raw.text(f"From the result of {result.tool_use_id}:")), *images]
        return [*images]

    def _shown(self, result: ToolResult, where: str) -> list[Part]:
        content = result.content
        if raw.is_null(content):
            return []
        if raw.is_text(content):
            return [TextPart(content)]
        shown: list[Part] = []
        found = raw.read(blocks.OF_RESULT, content, where)
        for i, block in enumerate(found):
            if isinstance(block, ToolReference):
                self.loaded.add(block.tool_name)
                shown.append(TextPart(raw.text(f"Loaded tool: {block.tool_name}")))
            else:
                shown += blocks.parts(block, f"{where}[{i}]")
        return shown

    def add_assistant(self, content: Json, where: str) -> None:
        if raw.is_text(content):
            self._add("assistant", content)
            self.continues = not raw.is_empty_text(content)
            return
        found = raw.read(blocks.OF_ASSISTANT, content, where)
        shown: list[Part] = []
        thoughts: list[Json] = []
        calls: list[bytes] = []
        for i, block in enumerate(found):
            here = f"{where}[{i}]"
            if isinstance(block, Text):
                shown += blocks.parts(block, here)
            elif isinstance(block, Thinking):
                thoughts.append(raw.checked_text(block.thinking, f"{here}.thinking"))
            elif not isinstance(block, RedactedThinking):
                calls.append(_call(block, here))
        beside = _beside(thoughts, calls)
        said = None if beside and not shown else blocks.content_of(shown)
        self._add("assistant", said, **beside)
        self.continues = bool(shown) and isinstance(found[-1], Text)

    def _add(self, role: str, content: Json | None, **others: Json) -> None:
        said = {} if content is None else {"content": content}
        self.messages.append(raw.object_of({"role": raw.text(role), **said, **others}))
        self.continues = False

    def whole(self) -> bytes:
        """The `messages` of a chat call."""
        if not self._system:
            return raw.array_of(self.messages)
        head = raw.object_of(
            {"role": b'"system"', "content": raw.joined(self._system, LINE_BREAK * 2)}
        )
        return raw.array_of((head, *self.messages))


def _beside(thoughts: list[Json], calls: list[bytes]) -> dict[str, Json]:
    others: dict[str, Json] = {}
    if thoughts:
        others["reasoning"] = raw.joined(thoughts)
    if calls:
        others["tool_calls"] = raw.array_of(calls)
    return others


def _call(block: ToolUse, where: str) -> bytes:
    if not raw.begins(block.input, b"{"):
        raise raw.invalid(f"{where}.input", "must be an object.")
    arguments = raw.embedded(block.input, f"{where}.input")
    function = raw.object_of({"name": raw.text(block.name), "arguments": arguments})
    return raw.object_of({"id": raw.text(block.id), "type": b'"function"', "function": function})


def read(members: Mapping[str, Json]) -> Conversation:
    """Raises InvalidRequest."""
    if "messages" not in members:
        raise raw.invalid("messages", "is missing.")
    turns = raw.read(blocks.MESSAGES, members["messages"], "messages")
    if not turns:
        raise raw.invalid("messages", "must hold at least one message.")
    conversation = Conversation()
    if "system" in members:
        conversation.add_system(members["system"], "system")
    add = {
        "system": conversation.add_system,
        "user": conversation.add_user,
        "assistant": conversation.add_assistant,
    }
    for i, turn in enumerate(turns):
        add[turn.role](turn.content, f"messages[{i}].content")
    conversation.continues &= turns[-1].role == "assistant"
    return conversation
