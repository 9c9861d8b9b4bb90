"""The file `.env`: a line for each variable, read as shells, Docker and YAML files write them.

    # a comment
    NAME=value            # a comment behind a blank
    export NAME='value'
    NAME: "value"

A `#` without a blank before it belongs to the value. Nothing is expanded. Of libraries that read
such files none takes all of these forms and stops at a line that it cannot read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from aurora_site.environment.cleaning import EDGES, is_quoted_list
from aurora_site.environment.files import BadFile, read_text

_LINE = re.compile(
    r"(?:export\s+)?(?P<name>[A-Za-z_][\w.-]*)(?:\s*=|\s*:(?=\s|\Z))(?P<rest>.*)",
    re.ASCII | re.DOTALL,
)
_SINGLE = re.compile(r"'([^']*)'(?:\s*|\s+#.*)", re.DOTALL)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\s*|\s+#.*)', re.DOTALL)
_COMMENT = re.compile(r"\s#")


@dataclass(frozen=True, slots=True)
class DotEnv:
    """What the file says. `repeated` names the variables that are given more than once."""

    values: dict[str, str] = field(repr=False)
    repeated: tuple[str, ...] = ()


def read(path: Path) -> DotEnv:
    """What the file says, nothing where there is none. Raises BadFile, with the line's number."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        return DotEnv({})
    values: dict[str, str] = {}
    repeated: list[str] = []
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        content = line.strip(EDGES)
        if not content or content.startswith("#"):
            continue
        try:
            name, value = _assignment(content)
        except ValueError as error:
            raise BadFile(f"{path}: line {number}: {error}") from None
        if name in values:
            repeated.append(name)
        values[name] = value
    return DotEnv(values, tuple(dict.fromkeys(repeated)))


def _assignment(line: str) -> tuple[str, str]:
    """Raises ValueError, without repeating the line."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError("NAME=value is needed, or a comment that begins with #")
    return match["name"], _value(match["rest"])


def _value(rest: str) -> str:
    """The value in what stands behind the `=`."""
    text = rest.strip(EDGES)
    if text[:1] in ("'", '"') and not is_quoted_list(_without_comment(text)):
        return _unquoted(text)
    return _without_comment(rest)


def _without_comment(rest: str) -> str:
    comment = _COMMENT.search(rest)
    return rest[: comment.start() if comment else None].strip(EDGES)


def _unquoted(text: str) -> str:
    """As a shell reads it: nothing is special in single quotes, and a backslash before `"`, `\\`,
    `$` or a backquote in double ones."""
    if text[0] == "'":
        single = _SINGLE.fullmatch(text)
        if single:
            return single[1]
    else:
        double = _DOUBLE.fullmatch(text)
        if double:
            return re.sub(r'\\(["\\$`])', r"\1", double[1])
    raise ValueError(
        "a value that begins with a quote ends with the same one; behind it only a blank and a"
        " comment may follow"
    )
