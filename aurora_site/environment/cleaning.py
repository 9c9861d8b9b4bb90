"""A value from outside, cleaned before it is judged. Pure.

What people paste, mount and template brings along white space, line ends, byte-order marks and
quotes that they do not mean. Docker's `--env-file` keeps quotes, and a secret that was made with
`echo` ends in a line end.
"""

from __future__ import annotations

import re

WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))
INVISIBLE = "\ufeff\u200b\u2060"  # byte-order mark, zero-width space, word joiner
EDGES = WHITE_SPACE + INVISIBLE
"""What is cut off at both ends of a value."""
_QUOTED = r"""(?:"[^"]*"|'[^']*')"""
_QUOTED_LIST = re.compile(rf"{_QUOTED}(?:\s*,\s*{_QUOTED})+")


def cleaned(text: str) -> str:
    """`text` without white space at its ends and without one pair of quotes around it.

    What stands inside quotes stays as it is. A list whose parts are quoted each is left to `parts`.
    """
    stripped = text.strip(EDGES)
    if is_quoted_list(stripped):
        return stripped
    is_quoted = len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'"
    return stripped[1:-1] if is_quoted else stripped


def is_quoted_list(text: str) -> bool:
    """Whether each part of a comma-separated list has quotes of its own, as in `"a","b"`."""
    return _QUOTED_LIST.fullmatch(text) is not None


def parts(text: str) -> tuple[str, ...]:
    """The parts of a list, separated by commas or line ends: each cleaned and once, none empty."""
    found = map(cleaned, re.split(r"[,\r\n]", text))
    return tuple(dict.fromkeys(filter(None, found)))
