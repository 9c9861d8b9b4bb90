"""A coding agent as its user runs it: a process with a home of its own, that reaches loopback only."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE_SECONDS

NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody runs: what is not on loopback is not reached."""
FROM_OUTSIDE = ("PATH", "LANG", "TZ")
TEMPORARY = "tmp"
"""Its folder for temporary files, in its home."""
SESSION_SECONDS = 3 * PATIENCE_SECONDS
"""A session takes some seconds of processor time; only a hang takes so long."""


@dataclass(frozen=True)
class Agent:
    """A command, `settings` as environment variables, and the folders that it begins with."""

    command: tuple[str, ...]
    settings: Mapping[str, str]
    home: Path
    project: Path

    def run(self) -> Session:
        """Run it to its end. AssertionError, with what it wrote, if it hangs."""
        process = subprocess.Popen(
            self.command,
            cwd=self.project,
            env={**_environment(self.home), **self.settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=SESSION_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said = "\n".join(process.communicate())
            raise AssertionError(f"still running after {SESSION_SECONDS} s:\n{said}") from None
        return Session(process.returncode, output, errors)


@dataclass(frozen=True)
class Session:
    """What became of a run."""

    code: int
    output: str
    errors: str


def _environment(home: Path) -> dict[str, str]:
    """Nothing of whoever runs the tests but where programs are and how text is written."""
    outside = {name: os.environ[name] for name in FROM_OUTSIDE if name in os.environ}
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE)
    local = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    return {**outside, **proxies, **local, "HOME": str(home), "TMPDIR": str(home / TEMPORARY)}
