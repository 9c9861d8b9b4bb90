"""`make run` as somebody meets it who types it into a terminal, with nothing set."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.loopback import CLIENT
from tests.patience import PATIENCE_SECONDS
from tests.process.databases import Database
from tests.process.running import MANAGE
from tests.processes import clean_environment, eventually, free_port

LINK = re.compile(r"http://localhost:(\d+)(/admin/first-login/\S+/)")


class Terminal:
    """A process on a terminal of its own, and all that it shows there."""

    def __init__(self, checkout: Path, settings: dict[str, str]) -> None:
        ours, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [*MANAGE, "serve"],
            cwd=checkout,
            env=clean_environment(settings),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, args=[ours], daemon=True)
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # how a terminal ends on Linux
            while piece := os.read(descriptor, 65_536):
                self.shown += piece.decode().replace("\r\n", "\n")
        os.close(descriptor)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        return code


@contextlib.contextmanager
def terminal(checkout: Path, **settings: str) -> Iterator[Terminal]:
    started = Terminal(checkout, settings)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.wait()


def test_a_first_start_shows_the_address_the_way_in_and_what_to_do_next(
    checkout: Path, empty_database: Database
) -> None:
    port = str(free_port())
    settings = {**empty_database.settings, "AURORA_HOST": "127.0.0.1", "AURORA_PORT": port}
    with terminal(checkout, **settings) as started:
        eventually(lambda: started.process.poll() is not None or "Ctrl-C" in started.shown)
        found = LINK.search(started.shown)
        assert found is not None, started.shown
        page = httpx.get(f"http://127.0.0.1:{port}{found[2]}", **CLIENT)
        code = started.stop()

    assert f"Aurora serves http://localhost:{port}" in started.shown
    assert "set VLLM_BASE_URL" in started.shown
    assert "set AURORA_MASTER_KEY" in started.shown
    assert (page.status_code, "Become the first administrator" in page.text) == (200, True)
    assert code == 0
    assert '{"time"' not in started.shown
    assert re.search(r"^\d\d:\d\d:\d\d listening on http://127.0.0.1:", started.shown, re.MULTILINE)


def test_a_start_without_a_terminal_writes_no_link(serve) -> None:
    aurora = serve()

    assert "first-login" not in aurora.written
    assert "login_link" in aurora.written
