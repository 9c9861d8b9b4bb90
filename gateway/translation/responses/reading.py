"""Values of a request, read with the name of the member to blame where they are wrong. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NoReturn

import msgspec

from gateway.errors import InvalidRequest
from gateway.translation.chat import UNREADABLE

MOST_QUOTED_CHARACTERS = 80


def refuse(param: str, message: str) -> NoReturn:
    raise InvalidRequest(message, param=param)


def cut(text: str) -> str:
    """As much of a client's word as a refusal repeats."""
    return text[:MOST_QUOTED_CHARACTERS]


def quoted(value: Any) -> str:
    """A client's value as a refusal repeats it: in quotes and cut; what is no scalar by its kind."""
    if isinstance(value, dict):
        return "(an object)"
    if isinstance(value, list):
        return "(a list)"
    return repr(cut(value)) if isinstance(value, str) else cut(repr(value))


def decoded(raw: msgspec.Raw | bytes, param: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        refuse(param, f"`{param}` is not valid JSON.")


def encoded(value: Any, param: str) -> bytes:
    """`value` as JSON in UTF-8 on one line."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError, RecursionError):
        refuse(param, f"`{param}` cannot be written as JSON again: a number in it is too large.")


def text(value: Any, param: str) -> str:
    if not isinstance(value, str):
        refuse(param, f"`{param}` must be a string.")
    return value


def optional_text(value: Any, param: str) -> str | None:
    return None if value is None else text(value, param)


def flag(value: Any, param: str, default: bool) -> bool:
    if value is None:
        return default
    if not isinstance(value, bool):
        refuse(param, f"`{param}` must be true or false.")
    return value


def whole_number(value: Any, param: str, least: int, most: int | None = None) -> int:
    """An integer from `least` to `most`."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not fits or (most is not None and value > most):
        bounds = f"of {least} or more" if most is None else f"from {least} to {most}"
        refuse(param, f"`{param}` must be an integer {bounds}.")
    return value


def mapping(value: Any, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        refuse(param, f"`{param}` must be an object.")
    return value


def sequence(value: Any, param: str) -> list[Any]:
    if not isinstance(value, list):
        refuse(param, f"`{param}` must be a list.")
    return value


def one_of(value: Any, param: str, allowed: Collection[str], why: str) -> str:
    """`value`, which must be one of `allowed`; `why` ends the message where it is not."""
    if not isinstance(value, str) or value not in allowed:
        choices = ", ".join(f"`{name}`" for name in allowed)
        refuse(param, f"`{param}` can only be {choices} here: {why}.")
    return value


def only(value: dict[str, Any], param: str, known: Collection[str], why: str) -> None:
    """Refuses every member of `value` that is set and not `known`."""
    for name, inner in value.items():
        if inner is not None and name not in known:
            where = f"{param}.{cut(name)}"
            refuse(where, f"`{where}` cannot be honoured: {why}.")
