"""Tables as CSV (RFC 4180) that a spreadsheet shows and does not run. No I/O."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def text(rows: Iterable[Sequence[str]]) -> str:
    """The rows, every cell quoted, with CRLF after each row."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(
        [_harmless(cell) for cell in row] for row in rows
    )
    return out.getvalue()


def _harmless(cell: str) -> str:
    """A spreadsheet takes a cell that begins like a formula for one, behind blanks, too. An
    apostrophe in front makes it text."""
    starts_formula = cell.startswith(FORMULA_STARTS) or cell.lstrip().startswith(FORMULA_STARTS)
    return f"'{cell}" if starts_formula else cell
