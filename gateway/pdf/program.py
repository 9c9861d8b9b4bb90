"""A program: reads a PDF from standard input and writes its text as UTF-8. It ends with 1 where
there is none that can be read.

It runs in a process of its own, since a PDF is a program of its author's: it may be made to need
any time and memory. The limits hold whatever the PDF does, and the system ends this process before
any other. Nothing of Aurora is imported.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import sys
import time
from collections.abc import Iterator

from pypdf import PdfReader

MOST_MEMORY_BYTES = 512 * 2**20
MOST_CPU_SECONDS = 15
MOST_READING_SECONDS = 10.0
"""Then the pages that are read by then must do."""
MOST_PAGES = 500
MOST_CHARACTERS = 1_000_000


def limit() -> None:
    os.nice(10)
    with contextlib.suppress(OSError, ValueError):  # where the system has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def pages(reader: PdfReader) -> Iterator[str]:
    """The text of each page, as long as the limits allow."""
    until, left = time.monotonic() + MOST_READING_SECONDS, MOST_CHARACTERS
    for page in reader.pages[:MOST_PAGES]:
        text = page.extract_text().replace("\0", "").strip()[:left]
        left -= len(text)
        yield text
        if not left or time.monotonic() > until:
            return


def text_of(pdf: bytes) -> str:
    """Empty where no page has any text."""
    reader = PdfReader(io.BytesIO(pdf))
    found: list[str] = []
    with contextlib.suppress(Exception):  # of a broken page: those before it are as good as ever
        found.extend(pages(reader))
    if not any(found):
        return ""
    text = "\n\n".join(f"[Page {number}]\n{page}" for number, page in enumerate(found, 1))
    count = len(reader.pages)
    cut = f"\n\n[Cut here: {len(found)} of {count} pages.]" if len(found) < count else ""
    return f"{text}{cut}"


def main() -> int:
    limit()
    text = text_of(sys.stdin.buffer.read())  # for bytes that are no PDF pypdf raises anything
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    return 0 if text else 1


if __name__ == "__main__":
    sys.exit(main())
