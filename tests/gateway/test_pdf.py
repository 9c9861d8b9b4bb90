"""PDFs are read in processes of their own, within limits, and once."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.pdf import MOST_AT_ONCE, PROGRAM, PdfReader
from gateway.translation.documents import digest
from tests.pdfs import bomb, pdf

pytestmark = pytest.mark.anyio
HANG_SECONDS = 60


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def text_of(data: bytes, reader: PdfReader | None = None) -> str | None:
    found = await (reader or PdfReader()).read([encoded(data)])
    return found.get(digest(encoded(data)))


def shell(script: str) -> PdfReader:
    return PdfReader(("/bin/sh", "-c", script))


async def test_the_text_of_each_page_is_read():
    assert await text_of(pdf("Bring tea.", "And cake.")) == (
        "[Page 1]\nBring tea.\n\n[Page 2]\nAnd cake."
    )


@pytest.mark.parametrize("data", [pdf(""), b"no PDF", b"%PDF-1.7", b"", bomb(300)])
async def test_a_pdf_without_text_or_a_file_that_is_no_pdf_has_no_text(data):
    assert await text_of(data) is None


async def test_what_is_not_base64_has_no_text():
    assert await PdfReader().read(["%PDF"]) == {}


async def test_a_pdf_is_read_once_whether_it_can_be_read_or_not(tmp_path):
    reader = shell(f"echo >> {tmp_path}/runs; test $(wc -c) -gt 3 && echo text")

    for _ in range(3):
        assert await text_of(b"long", reader) == "text\n"
        assert await text_of(b"no", reader) is None

    assert len((tmp_path / "runs").read_text()) == 2


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "pid"
    os.mkfifo(path)
    return path


def hanging(fifo: Path) -> tuple[str, ...]:
    """A program that tells its process id, and never ends by itself."""
    return ("/bin/sh", "-c", f"echo $$ > {fifo}; exec sleep 3600")


async def pid_in(fifo: Path) -> int:
    async with asyncio.timeout(HANG_SECONDS):
        return int(await asyncio.to_thread(fifo.read_text))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_pdf_that_takes_too_long_is_given_up():
    assert await text_of(b"a", PdfReader(("/bin/sleep", "3600"), seconds=0.1)) is None


async def test_a_pdf_that_a_busy_machine_could_not_read_in_time_is_read_the_next_time():
    reader = PdfReader(("/bin/sleep", "3600"), seconds=0.1)

    assert await text_of(b"a", reader) is None
    reader._command, reader._seconds = ("/bin/echo", "read"), HANG_SECONDS

    assert await text_of(b"a", reader) == "read\n"


async def test_the_process_ends_when_nobody_waits_for_it(fifo):
    reading = asyncio.create_task(text_of(b"a", PdfReader(hanging(fifo), seconds=HANG_SECONDS)))
    pid = await pid_in(fifo)

    reading.cancel()
    await asyncio.wait([reading], timeout=HANG_SECONDS)

    assert reading.cancelled()
    assert not is_running(pid)


async def test_nothing_of_the_environment_reaches_the_process(monkeypatch):
    monkeypatch.setenv("AURORA_MASTER_KEY", "secret")

    assert "secret" not in (await text_of(b"a", PdfReader(("/usr/bin/env",))) or "")


def test_the_program_gets_no_more_memory_than_it_may_have():
    script = f"import runpy; runpy.run_path({str(PROGRAM)!r})['limit'](); bytearray(2**30)"

    ran = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, timeout=HANG_SECONDS, check=False
    )

    assert b"MemoryError" in ran.stderr


async def test_owners_take_turns(tmp_path):
    """However many PDFs of one owner wait, another's is next but for as many as there are places."""
    reader = shell(
        f"cat >> {tmp_path}/order; until test -e {tmp_path}/go; do sleep 0.01; done; echo x"
    )
    flood, other = uuid4(), uuid4()
    calls = [asyncio.create_task(reader.read([encoded(b"f%d " % n)], flood)) for n in range(20)]
    await asyncio.sleep(0)
    late = asyncio.create_task(reader.read([encoded(b"other ")], other))
    (tmp_path / "go").touch()
    await asyncio.wait_for(asyncio.gather(late, *calls), HANG_SECONDS)

    order = (tmp_path / "order").read_text().split()
    assert sorted(order) == sorted(["other", *(f"f{n}" for n in range(20))])
    assert order.index("other") <= 2 * MOST_AT_ONCE
