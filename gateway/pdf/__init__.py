"""The text of PDFs that clients attach, read in processes of their own (see `program`)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

from gateway.offload import Offload
from gateway.translation.documents import PdfTexts, digest

PROGRAM = Path(__file__).with_name("program.py")
MOST_PDF_BYTES = 32 * 2**20
"""As Anthropic and OpenAI have it."""
MOST_AT_ONCE = 2
"""Processes, for each of Aurora's."""
MOST_SECONDS = 20.0
"""For one PDF."""
MOST_WAIT_SECONDS = 40.0
"""For all PDFs of a call, and those of other calls before them."""
MOST_KEPT_CHARACTERS = 16 * 2**20
LEAST_KEPT_CHARACTERS = 1000
"""What a PDF counts as beside its text."""

log = logging.getLogger("aurora.gateway")


@dataclass(slots=True)
class _Line:
    """The calls of one owner that read PDFs, or wait to."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))
    calls: int = 0


class PdfReader:
    """Reads each PDF once, since clients send their history with every call. It belongs to one event
    loop.

    A PDF that cannot be read, or not within the program's limits, is remembered as such: the next
    prompt is then the same, and as cheap.
    """

    def __init__(
        self,
        command: tuple[str, ...] = (sys.executable, "-I", str(PROGRAM)),
        *,
        seconds: float = MOST_SECONDS,
        offload: Offload | None = None,
    ) -> None:
        self._command, self._seconds = command, seconds
        self._offload = offload or Offload()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._lines: dict[UUID | None, _Line] = {}
        self._kept: OrderedDict[bytes, str] = OrderedDict()
        """By digest, the last used last; empty: it cannot be read."""
        self._kept_characters = 0

    async def read(self, pdfs: Iterable[str], owner: UUID | None = None) -> PdfTexts:
        """The texts of those, in base64, that can be read. Owners take turns."""
        texts: dict[bytes, str] = {}
        try:
            async with asyncio.timeout(MOST_WAIT_SECONDS):
                for pdf in pdfs:
                    key = await self._offload.run(len(pdf), digest, pdf)
                    texts[key] = await self._text(key, pdf, owner)
        except TimeoutError:
            pass  # the model is told of the others that it cannot see them
        except OSError as error:  # no process can be made
            log.warning("PDFs cannot be read: %s", error)
        return {key: text for key, text in texts.items() if text}

    async def _text(self, key: bytes, pdf: str, owner: UUID | None) -> str:
        if key not in self._kept:
            async with self._place_of(owner):
                text = await self._run(pdf)
            if text is None:
                return ""
            self._keep(key, text)
        self._kept.move_to_end(key)
        return self._kept[key]

    @contextlib.asynccontextmanager
    async def _place_of(self, owner: UUID | None) -> AsyncIterator[None]:
        """One of the places for all, which are given in the order in which they are asked for. An owner
        asks for no more of them than there are, however many of its calls wait."""
        line = self._lines.setdefault(owner, _Line())
        line.calls += 1
        try:
            async with line.turns, self._places:
                yield
        finally:
            line.calls -= 1
            if not line.calls:
                self._lines.pop(owner, None)

    def _keep(self, key: bytes, text: str) -> None:
        if key in self._kept:  # of a call at the same time
            return
        self._kept[key] = text
        self._kept_characters += len(text) + LEAST_KEPT_CHARACTERS
        while self._kept_characters > MOST_KEPT_CHARACTERS and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._kept_characters -= len(gone) + LEAST_KEPT_CHARACTERS

    async def _run(self, pdf: str) -> str | None:
        """Empty where it cannot be read, None where the machine was too busy to tell: the program
        ends by itself before this limit. Nothing of Aurora's environment reaches it."""
        try:
            data = await self._offload.run(len(pdf), partial(base64.b64decode, validate=True), pdf)
        except (binascii.Error, ValueError):
            return ""
        if len(data) > MOST_PDF_BYTES:
            return ""
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}
        )
        try:
            async with asyncio.timeout(self._seconds):
                text, _ = await process.communicate(data)
        except TimeoutError:
            return None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return "" if process.returncode else text.decode()
