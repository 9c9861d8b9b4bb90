"""Processes that are measured: started on one core, waited for, their memory read, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.client import Broken, Server, fetch

POLL_SECONDS = 0.1
STOP_SECONDS = 10.0
MIB = 2**20


class CannotStart(Exception):
    """A process ended, or did not answer in time. The text says which and shows its last lines."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: its name, words, variables (added to a bare environment), folder and core."""

    name: str
    words: Sequence[str]
    variables: Mapping[str, str]
    folder: Path
    core: int


def cores() -> tuple[int, int]:
    """A core for the gateway and one for load and mock; the same twice where there is but one."""
    found = sorted(os.sched_getaffinity(0))
    return found[0], found[min(1, len(found) - 1)]


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Within, this process and those it starts run on `core` alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def running(command: Command) -> Iterator[subprocess.Popen[bytes]]:
    """The process, with its output in `folder`; stopped on leaving, its children with it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log_of(command).open("wb") as log, pinned(command.core):
        process = subprocess.Popen(
            command.words,
            cwd=command.folder,
            env={**kept, **command.variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its session is its own, and so is its group
        process.wait()


def log_of(command: Command) -> Path:
    return command.folder / f"{command.name}.log"


async def wait_until_ready(
    process: subprocess.Popen[bytes], command: Command, server: Server, path: str, seconds: float
) -> None:
    """Return once `path` answers 200.

    Raises:
        CannotStart: the process ended, or `seconds` went by.
    """
    deadline = time.monotonic() + seconds
    last = "nobody listens"
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, Broken, TimeoutError):
            status, _ = await asyncio.wait_for(fetch(server, server.get(path)), 5)
            if status == 200:
                return
            last = f"{path} answers {status}"
        await asyncio.sleep(POLL_SECONDS)
    ended = process.poll()
    why = f"ended with {ended}" if ended is not None else f"not ready in {seconds:.0f} s: {last}"
    raise CannotStart(f"{command.name} {why}\n{_last_lines(log_of(command))}")


def _last_lines(log: Path, lines: int = 8) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def cpu_seconds(pid: int) -> float:
    """Processor time that all threads of the process used so far, in user and kernel mode."""
    # The name, in parentheses, may hold spaces; utime and stime are the 14th and 15th fields.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    return _status_kib(pid, "VmRSS") / 1024


def peak_mib(pid: int) -> float:
    """The most that was resident since `forget_peak`, or since the process began."""
    return _status_kib(pid, "VmHWM") / 1024


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status_kib(pid: int, member: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{member}:"):
            return int(line.split()[1])
    raise KeyError(member)
