"""A value in a message: as it is, so that a stray character shows. Never for a secret. Pure."""

from __future__ import annotations

MOST_CHARACTERS = 60


class Hidden(str):
    """A value that no message shows: it stood in a file, and may be a secret in the wrong place."""

    __slots__ = ()


def shown(value: str) -> str:
    """The end of a sentence that says what a value is.

    Nothing for what is hidden, or may be a URL with a password or a token in it.
    """
    if isinstance(value, Hidden) or "@" in value or "?" in value:
        return ""
    cut = "…" if len(value) > MOST_CHARACTERS else ""
    return f"; it is {value[:MOST_CHARACTERS]!r}{cut}"
