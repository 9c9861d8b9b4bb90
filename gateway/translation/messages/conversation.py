"""Anthropic's system prompt and turns as chat messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from gateway.abilities import NO_ABILITIES, Ability
from gateway.translation import documents, raw, turns
from gateway.translation.documents import PdfTexts
from gateway.translation.messages import blocks
from gateway.translation.messages.blocks import (
    Compaction,
    Other,
    Text,
    Thinking,
    ToolAddition,
    ToolReference,
    ToolRemoval,
    ToolResult,
    ToolSearchResult,
    ToolUse,
)
from gateway.translation.messages.parts import (
    ImagePart,
    Part,
    TextPart,
    parts,
    plain_text,
    text_part,
    without_image,
)
from gateway.translation.messages.tool_changes import ToolChanges
from gateway.translation.messages.turn import Turn
from gateway.translation.raw import LINE_BREAK, Json

_BILLING = b'"x-anthropic-billing-header'
"""How a system text of Claude Code begins that differs with each call. As the first thing in the
prompt it would spoil the server's prefix cache for all that follows; vLLM leaves it out as well."""
SUMMARY = "Summary of the conversation so far:\n"


class Message(Struct):
    role: Literal["user", "assistant", "system"]
    content: Raw


_MESSAGES = msgspec.json.Decoder(list[Message])


@dataclass(slots=True)
class Conversation:
    """Two turns of the same role in a row become one, as Anthropic has it: many chat templates
    refuse them."""

    pdfs: PdfTexts
    shows_images: bool
    continues: bool = False
    """The last turn is the assistant's and ends in text: the answer goes on from there."""
    tools: ToolChanges = field(default_factory=ToolChanges)
    _system: list[bytes] = field(default_factory=list)
    """The text of each system message before the first turn, where it has one."""
    _turns: list[Turn | bytes] = field(default_factory=list)
    """Results of tools are rendered already: nothing is added to them."""
    _open: turns.OpenCalls[Turn] = field(default_factory=turns.OpenCalls)

    def add_system(self, content: Json, where: str) -> None:
        """Before the first turn, a message joins those before it behind a blank line; the blocks
        within one message join as they are. A later one stays in its place (see `turns`).

        Without any text there is none: a template's own system prompt then stands.
        """
        found = self._system_parts(content, where)
        texts = [part.text for part in found if isinstance(part, TextPart)]
        said = [text for text in texts if not raw.begins(text, _BILLING)]
        if not said:
            return
        if self._turns:
            shown: list[Part] = [TextPart(raw.joined(said))]
            self._add(Turn(turns.LATER_SYSTEM_ROLE, shown, stands_alone=True))
        else:
            self._system.append(raw.joined(said))

    def _system_parts(self, content: Json, where: str) -> list[Part]:
        if raw.is_text(content):
            return text_part(content, where)
        shown: list[Part] = []
        for i, block in enumerate(blocks.read(content, blocks.OF_SYSTEM, where)):
            here = f"{where}[{i}]"
            if isinstance(block, ToolAddition):
                self.tools.add(block.tool, f"{here}.tool")
            elif isinstance(block, ToolRemoval):
                self.tools.remove(block.tool)
            else:
                shown += (
                    plain_text(block, here)
                    if isinstance(block, Other)
                    else self._parts(block, here)
                )
        return shown

    def _parts(self, block: blocks.Block, where: str) -> list[Part]:
        found = parts(block, where, self.pdfs)
        return found if self.shows_images else [without_image(part, where) for part in found]

    def add_user(self, content: Json, where: str) -> None:
        """Results of tools first, each a message of its own, as the call they answer demands."""
        if raw.is_text(content):
            self._add(Turn("user", text_part(content, where)))
            return
        found = blocks.read(content, blocks.OF_USER, where)
        results = [
            (block.tool_use_id, self._add_result(block, f"{where}[{i}]"))
            for i, block in enumerate(found)
            if isinstance(block, ToolResult)
        ]
        turn = Turn("user", turns.images_behind(results, lambda text: TextPart(raw.text(text))))
        for i, block in enumerate(found):
            if isinstance(block, Compaction):
                turn = self._begun_anew(block, turn)
            else:
                turn.shown += self._parts(block, f"{where}[{i}]")
        if turn.shown or not results:
            self._add(turn)

    def _add_result(self, result: ToolResult, where: str) -> list[Part]:
        """Gives back its images."""
        shown = self._shown(result, f"{where}.content")
        texts = [part.text for part in shown if isinstance(part, TextPart)]
        said = texts[0] if len(texts) == 1 else raw.joined(texts, LINE_BREAK)
        if result.is_error and bytes(memoryview(said)[1:6]).lower() != b"error":
            said = raw.joined((b'"Error: "', said))
        id = raw.text(result.tool_use_id)
        self._turns.append(raw.object_of({"role": b'"tool"', "content": said, "tool_call_id": id}))
        self.continues = False
        self._open.answer(result.tool_use_id)
        if self._open.are_answered:
            self._release()
        return [part for part in shown if isinstance(part, ImagePart)]

    def _shown(self, result: ToolResult, where: str) -> list[Part]:
        if raw.is_null(result.content):
            return []
        if raw.is_text(result.content):
            return text_part(result.content, where)
        shown: list[Part] = []
        for i, block in enumerate(blocks.read(result.content, blocks.OF_RESULT, where)):
            if isinstance(block, ToolReference):
                self.tools.load(block.tool_name)
                shown.append(TextPart(raw.text(f"Loaded tool: {block.tool_name}")))
            else:
                shown += self._parts(block, f"{where}[{i}]")
        return shown

    def add_assistant(self, content: Json, where: str) -> None:
        """What ran on Anthropic's servers is left out: of its results, all but their plain text."""
        if raw.is_text(content):
            self._add(Turn("assistant", text_part(content, where)))
            self.continues = not raw.is_empty_text(content)
            return
        found = blocks.read(content, blocks.OF_ASSISTANT, where)
        turn = Turn("assistant")
        for i, block in enumerate(found):
            turn = self._said(turn, block, f"{where}[{i}]")
        if found and turn.is_empty:
            return
        self._add(turn)
        self.continues = bool(turn.shown) and isinstance(found[-1], Text)

    def _said(self, turn: Turn, block: blocks.Block, where: str) -> Turn:
        """`turn` with `block` added."""
        if isinstance(block, Compaction):
            return self._begun_anew(block, turn)
        if isinstance(block, Thinking):
            thought = raw.checked_text(block.thinking, f"{where}.thinking")
            turn.thoughts += [] if raw.is_empty_text(thought) else [thought]
        elif isinstance(block, ToolUse):
            turn.calls.append(_call(block, where))
            turn.call_ids.append(block.id)
        elif isinstance(block, ToolSearchResult):
            self.tools.load_found(block.content, f"{where}.content")
        else:
            turn.shown += (
                plain_text(block, where) if isinstance(block, Other) else self._parts(block, where)
            )
        return turn

    def _begun_anew(self, compaction: Compaction, turn: Turn) -> Turn:
        """The turn that goes on behind a summary, which stands for all before it: Anthropic's
        servers read no more of that either, and it may be longer than a model can read."""
        if not compaction.content:
            return turn
        self._turns.clear()
        self._open.release()
        self._add(Turn("user", [TextPart(raw.text(f"{SUMMARY}{compaction.content}"))]))
        return Turn(turn.role)

    def _add(self, turn: Turn) -> None:
        self.continues = False
        if turn.role == "user" and not self._open.are_answered:
            self._open.wait(turn)
            return
        self._release()
        self._append(turn)
        for id in turn.call_ids:
            self._open.call(id)

    def _append(self, turn: Turn) -> None:
        last = self._turns[-1] if self._turns else None
        if isinstance(last, Turn) and turn.joins(last):
            last.add(turn)
        else:
            self._turns.append(turn)

    def _release(self) -> None:
        """The texts that waited for the results of tools."""
        for turn in self._open.release():
            self._append(turn)

    def end(self) -> None:
        """Raises InvalidRequest where the model can see nothing of the last turn."""
        self._release()
        *before, last = self._turns or [b""]
        answers = bool(before) and isinstance(before[-1], bytes)
        if isinstance(last, Turn) and last.unseen_at and not answers:
            raise raw.invalid(last.unseen_at, documents.ONLY_UNSEEN)

    @property
    def uses(self) -> frozenset[Ability]:
        shown = (part for turn in self._turns if isinstance(turn, Turn) for part in turn.shown)
        has_images = any(isinstance(part, ImagePart) for part in shown)
        return frozenset((Ability.IMAGES,)) if has_images else NO_ABILITIES

    def whole(self) -> bytes:
        """The `messages` of a chat call."""
        rendered = [turn if isinstance(turn, bytes) else turn.rendered() for turn in self._turns]
        if not self._system:
            return raw.array_of(rendered)
        head = raw.object_of(
            {"role": b'"system"', "content": raw.joined(self._system, LINE_BREAK * 2)}
        )
        return raw.array_of((head, *rendered))


def _call(block: ToolUse, where: str) -> bytes:
    if not raw.begins(block.input, b"{"):
        raise raw.invalid(f"{where}.input", "must be an object.")
    arguments = raw.embedded(block.input, f"{where}.input")
    function = raw.object_of({"name": raw.text(block.name), "arguments": arguments})
    return raw.object_of({"id": raw.text(block.id), "type": b'"function"', "function": function})


def read(members: Mapping[str, Json], pdfs: PdfTexts, lacking: frozenset[Ability]) -> Conversation:
    """Raises InvalidRequest."""
    if "messages" not in members:
        raise raw.invalid("messages", "is missing.")
    found = raw.read(_MESSAGES, members["messages"], "messages")
    if not found:
        raise raw.invalid("messages", "must hold at least one message.")
    conversation = Conversation(pdfs, Ability.IMAGES not in lacking)
    if "system" in members:
        conversation.add_system(members["system"], "system")
    add = {
        "system": conversation.add_system,
        "user": conversation.add_user,
        "assistant": conversation.add_assistant,
    }
    for i, message in enumerate(found):
        add[message.role](message.content, f"messages[{i}].content")
    conversation.end()
    return conversation
