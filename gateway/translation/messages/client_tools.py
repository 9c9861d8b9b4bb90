"""Anthropic's tools that the client runs, as functions.

Anthropic's models know them by their type; any other model needs what Anthropic's documentation
says of their input.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

_TYPED = re.compile(r"(?P<family>bash|text_editor|memory|computer)_(?P<date>\d+)")
_WITH_UNDO = "20250124"
"""The last date of a text editor that can undo; it calls the text of an insertion `new_str`."""
_FIRST_ACTIONS = "20241022"
_WITH_ZOOM = "20251124"


@dataclass(frozen=True, slots=True)
class ClientTool:
    name: str
    """What it is called where the client does not say."""
    description: str
    parameters: Schema


def find(type: str, options: dict[str, Any]) -> ClientTool | None:
    """The tool of this type, of any date, or None. `options` are the other members of the client's
    entry."""
    typed = _TYPED.fullmatch(type)
    return _FAMILIES[typed["family"]](typed["date"], options) if typed else None


def _object(required: list[str], properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _whole(description: str) -> Schema:
    return {"type": "integer", "description": description}


def _one_of(values: list[str], description: str) -> Schema:
    return {"type": "string", "enum": values, "description": description}


def _numbers(count: int, description: str) -> Schema:
    items = {"type": "integer"}
    return {
        "type": "array", "items": items, "minItems": count, "maxItems": count,
        "description": description,
    }  # fmt: skip


_VIEW_RANGE = _numbers(
    2, "For `view` of a file: first and last line, from 1; -1 is the file's end."
)
_OLD_STR = _text("For `str_replace`: the text to replace. It must occur exactly once.")
_NEW_STR = "For `str_replace`: the text to put in its place."
_INSERT_LINE = _whole("For `insert`: the line behind which to insert; 0 is the beginning.")
_FILE_TEXT = _text("For `create`: the content of the new file.")


def _bash(_date: str, _options: dict[str, Any]) -> ClientTool:
    properties = {
        "command": _text("The command to run. Required unless `restart` is true."),
        "restart": {"type": "boolean", "description": "True to start the session anew."},
    }
    about = "Run commands in a bash session, which keeps its state from call to call."
    return ClientTool("bash", about, _object([], properties))


def _text_editor(date: str, _options: dict[str, Any]) -> ClientTool:
    can_undo = date <= _WITH_UNDO
    commands = ["view", "create", "str_replace", "insert", *(["undo_edit"] if can_undo else [])]
    inserted = _text("For `insert`: the text to insert.")
    properties = {
        "command": _one_of(commands, "What to do."),
        "path": _text("The file or directory."),
        "view_range": _VIEW_RANGE,
        "file_text": _FILE_TEXT,
        "old_str": _OLD_STR,
        "new_str": _text(f"{_NEW_STR} For `insert`: the text to insert." if can_undo else _NEW_STR),
        "insert_line": _INSERT_LINE,
        **({} if can_undo else {"insert_text": inserted}),
    }
    name = "str_replace_editor" if can_undo else "str_replace_based_edit_tool"
    about = "View, create and edit text files."
    return ClientTool(name, about, _object(["command", "path"], properties))


def _memory(_date: str, _options: dict[str, Any]) -> ClientTool:
    commands = ["view", "create", "str_replace", "insert", "delete", "rename"]
    properties = {
        "command": _one_of(commands, "What to do."),
        "path": _text("The file or directory, below /memories. For all commands but `rename`."),
        "view_range": _VIEW_RANGE,
        "file_text": _FILE_TEXT,
        "old_str": _OLD_STR,
        "new_str": _text(_NEW_STR),
        "insert_line": _INSERT_LINE,
        "insert_text": _text("For `insert`: the text to insert."),
        "old_path": _text("For `rename`: the path so far."),
        "new_path": _text("For `rename`: the new path."),
    }
    about = "Keep notes in files below /memories, which stay from one conversation to the next."
    return ClientTool("memory", about, _object(["command"], properties))


def _computer(date: str, options: dict[str, Any]) -> ClientTool:
    width, height = options.get("display_width_px"), options.get("display_height_px")
    is_known = isinstance(width, int) and isinstance(height, int)
    screen = f" The screen has {width} x {height} pixels." if is_known else ""
    zooms = date >= _WITH_ZOOM and options.get("enable_zoom") is True
    actions = _ACTIONS if date <= _FIRST_ACTIONS else [*_ACTIONS, *_LATER_ACTIONS]
    properties = {
        "action": _one_of([*actions, *(["zoom"] if zooms else [])], "What to do."),
        "coordinate": _numbers(2, "Where: x and y in pixels from the upper left corner."),
        "text": _text("For `type`: the text. For `key`: the keys, such as ctrl+s."),
        **({} if date <= _FIRST_ACTIONS else _LATER_INPUT),
        **({"region": _numbers(4, "For `zoom`: x and y of two corners.")} if zooms else {}),
    }
    about = f"Look at the screen, and use its mouse and keyboard.{screen}"
    return ClientTool("computer", about, _object(["action"], properties))


_ACTIONS = [
    "key", "type", "mouse_move", "left_click", "left_click_drag", "right_click", "middle_click",
    "double_click", "screenshot", "cursor_position",
]  # fmt: skip
_LATER_ACTIONS = ["left_mouse_down", "left_mouse_up", "scroll", "hold_key", "wait", "triple_click"]
_LATER_INPUT: Schema = {
    "start_coordinate": _numbers(2, "For `left_click_drag`: where to begin."),
    "scroll_direction": _one_of(["up", "down", "left", "right"], "For `scroll`."),
    "scroll_amount": _whole("For `scroll`: how many steps."),
    "duration": {"type": "number", "description": "For `hold_key` and `wait`: seconds."},
}
_FAMILIES: dict[str, Callable[[str, dict[str, Any]], ClientTool]] = {
    "bash": _bash, "text_editor": _text_editor, "memory": _memory, "computer": _computer,
}  # fmt: skip
