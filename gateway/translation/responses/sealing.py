"""`encrypted_content` of reasoning items: opaque to a client, and what comes back says it all.

It is encoded, not encrypted: the reasoning is the caller's to read, and stands beside it in clear.
It is for clients that keep no state here and return only this member. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re

MARK = b"aurora-reasoning-1:"
_OPAQUE = re.compile(
    r"(?:gAAAA[A-Za-z0-9_-]*|data:[^\s,]*;base64,.*|[A-Za-z0-9+/_-]{500,})={0,2}", re.S
)
"""Ciphertexts of OpenAI, data URLs, and anything in base64 that is long."""


def sealed(reasoning: str) -> str:
    return base64.b64encode(MARK + reasoning.encode("utf-8", "replace")).decode("ascii")


def unsealed(content: str) -> str | None:
    """The reasoning that `sealed` was given, or None: somebody else made this."""
    try:
        plain = base64.b64decode(content, validate=True)
        return plain.removeprefix(MARK).decode() if plain.startswith(MARK) else None
    except (binascii.Error, ValueError):
        return None


def is_opaque(text: str) -> bool:
    """Whether no model can read this.

    Clients put plain text, too, where they expect something encrypted: not every server encrypts.
    """
    return _OPAQUE.fullmatch(text) is not None
