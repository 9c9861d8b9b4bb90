"""`${VAR}` and `${VAR:-default}` in text. A `$` that opens no brace stays as it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{).)*))?", re.DOTALL)


def holds_one(text: str) -> bool:
    return _PLACEHOLDER.search(text) is not None


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """`text` with the values of the variables it names; an empty one counts as unset.

    A value is put in as it is, never expanded again. Raises ValueError, with every reason.
    """
    reasons: list[str] = []

    def value(match: re.Match[str]) -> str:
        try:
            return _value(match[1], environ)
        except ValueError as error:
            reasons.append(str(error))
            return ""

    filled = _PLACEHOLDER.sub(value, text)
    if reasons:
        raise ValueError("; ".join(reasons))
    return filled


def _value(inside: str, environ: Mapping[str, str]) -> str:
    parts = _INSIDE.fullmatch(inside)
    if parts is None:
        raise ValueError("${…} must hold one variable, as ${NAME} or ${NAME:-default}")
    name, default = parts.groups()
    found = environ.get(name, "")
    if holds_one(found):
        raise ValueError(f"the variable {name} itself holds a ${{…}} that nothing expanded")
    if not found and default is None:
        raise ValueError(f"the variable {name} is not set; set it, or write ${{{name}:-default}}")
    return found or default
