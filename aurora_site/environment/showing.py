"""A value in a message: as it is, so that a stray character shows. Never for a secret. Pure."""

from __future__ import annotations

MOST_CHARACTERS = 60


class Hidden(str):
    """A value that no message shows, and no `repr` of what holds it: it is a secret, or stood in a
    file and may be one in the wrong place."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"


def shown(value: str) -> str:
    """The end of a sentence that says what a value is.

    Nothing for what is hidden, or may be a URL with a password or a token in it.
    """
    if isinstance(value, Hidden) or "@" in value or "?" in value:
        return ""
    cut = "…" if len(value) > MOST_CHARACTERS else ""
    return f"; it is {value[:MOST_CHARACTERS]!r}{cut}"
