"""The model behind a coding agent: what it says and which tools it calls, written beforehand."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.scripted_vllm import Received
from tests.scripting import LAST_CHUNK, Script, chunk_bytes, json_answer, stream_head

CHAT = "/v1/chat/completions"
BESIDE = "A small task"
"""What is said where no tool is offered: agents ask for titles and summaries, too."""
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
SPEECHLESS = Script((json_answer(400, {"error": {"message": "No turn is written for this."}}),))
"""It ends the session at once, where the agent would repeat a call that got no answer."""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020}


@dataclass(frozen=True)
class Calls:
    """A turn that calls a tool."""

    tool: str
    arguments: Mapping[str, Any]


Turn = str | Calls | Callable[[str], Calls]
"""A text is the end of what the model has to say; a function makes its call of the last result."""


class WrittenModel:
    """`tasks` are the turns of each conversation, by the prompt that begins it.

    The turn is found by what the conversation holds, so a call that is repeated gets the same.
    """

    def __init__(self, tasks: Mapping[str, Sequence[Turn]]) -> None:
        self._tasks = tasks
        self._ids = itertools.count(1)

    def answers(self, request: Received) -> Script | None:
        """For `ScriptedVllm.answers`."""
        if request.path != CHAT:
            return None
        body = request.json
        assert body["stream"], "these agents ask for streams alone"
        turn = self._turn(body)
        return SPEECHLESS if turn is None else self._streamed(body["model"], turn)

    def task_of(self, body: dict[str, Any]) -> str | None:
        """The prompt of the conversation; None for what the agent asks beside it."""
        asked = str([each["content"] for each in body["messages"] if each["role"] == "user"])
        found = (task for task in self._tasks if task in asked)
        return next(found, None) if body.get("tools") else None

    def _turn(self, body: dict[str, Any]) -> str | Calls | None:
        """None past the last turn."""
        task = self.task_of(body)
        if task is None:
            return BESIDE
        called = sum(1 for each in body["messages"] if each.get("tool_calls"))
        turn = next(iter(self._tasks[task][called:]), None)
        return turn(body["messages"][-1]["content"]) if callable(turn) else turn

    def _streamed(self, model: str, turn: str | Calls) -> Script:
        deltas = [{"content": turn}] if isinstance(turn, str) else self._call_deltas(turn)
        finish = "stop" if isinstance(turn, str) else "tool_calls"
        events = (
            _choice({"role": "assistant", "content": ""}),
            *map(_choice, deltas),
            _choice({}, finish),
            {"choices": [], "usage": USAGE},
        )
        chunks = (_event(json.dumps({**CHUNK, "model": model, **event})) for event in events)
        return Script(
            (stream_head(), *map(chunk_bytes, chunks), chunk_bytes(_event("[DONE]")), LAST_CHUNK)
        )

    def _call_deltas(self, call: Calls) -> Iterator[dict[str, Any]]:
        """The name, then the arguments in two pieces."""
        arguments = json.dumps(call.arguments)
        half = len(arguments) // 2
        function = {"name": call.tool, "arguments": ""}
        first = {"id": f"call_{next(self._ids)}", "type": "function", "function": function}
        yield {"tool_calls": [{"index": 0, **first}]}
        for piece in (arguments[:half], arguments[half:]):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _choice(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()
