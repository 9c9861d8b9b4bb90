"""The table in docs/endpoints.md, as gateway/endpoints.py has it.

    python -m scripts.endpoints_table

writes it into the page, in the place of the one that is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.dialects import Dialect
from gateway.endpoints import ANY_METHOD, SOCKETS, TABLE, Endpoint

PAGE = Path(__file__).parents[1] / "docs" / "endpoints.md"
HEADER = ("feature", "method", "path", "served", "errors")
DIALECTS = {
    Dialect.OPENAI: "OpenAI",
    Dialect.RESPONSES: "OpenAI, events of Responses",
    Dialect.ANTHROPIC: "Anthropic",
    Dialect.COHERE: "Cohere",
}
SERVED_SOCKET = "native, frames both ways untouched"


def rows() -> Iterator[tuple[str, ...]]:
    """One for each row of the table, then the WebSockets."""
    for row in TABLE:
        yield row.feature, _methods(row), _path(row.path), row.served, DIALECTS[row.dialect]
    for path, feature in SOCKETS.items():
        yield feature, "WS", _path(path), SERVED_SOCKET, DIALECTS[Dialect.OPENAI]


def written() -> str:
    """The table in Markdown."""
    header, *lines = (f"| {' | '.join(cells)} |\n" for cells in (HEADER, *rows()))
    return "".join((header, "|---" * len(HEADER) + "|\n", *lines))


def with_table(page: str, table: str) -> str:
    """`page` with `table` in the place of the one that has the same header."""
    lines = page.splitlines(keepends=True)
    first = lines.index(table.splitlines(keepends=True)[0])
    end = next((at for at in range(first, len(lines)) if lines[at][0] != "|"), len(lines))
    return "".join([*lines[:first], table, *lines[end:]])


def _methods(row: Endpoint) -> str:
    return "any" if row.methods == ANY_METHOD else ", ".join(sorted(row.methods))


def _path(path: str) -> str:
    return f"`{path.replace(':path}', '}')}`"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(), written()))
