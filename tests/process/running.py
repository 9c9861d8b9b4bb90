"""Aurora as operators run it: processes of their own, from a checkout with nothing but the program.

So nobody's `.env`, `config.yaml` or `data/` has a say in what these tests see.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import httpx

from tests.loopback import CLIENT
from tests.patience import PATIENCE_SECONDS
from tests.processes import clean_environment, eventually

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ("manage.py", "aurora_site", "gateway", "providers", "templates")
MANAGE = (sys.executable, "manage.py")
START_SECONDS = 2 * PATIENCE_SECONDS
"""A start takes seconds of processor time, and others may start at the same time."""


def copy_program(folder: Path) -> Path:
    """A checkout in `folder`: what runs, and nothing that somebody has set."""
    for name in PROGRAM:
        source = ROOT / name
        copy: Callable[..., Any] = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / name)
    return folder


def manage(
    checkout: Path, settings: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py to its end. Unless `settings` say otherwise, it takes a free port."""
    return subprocess.run(
        [*MANAGE, *arguments],
        cwd=checkout,
        env=clean_environment({"AURORA_PORT": "0", **settings}),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


class Running:
    """A process and every line it writes. Leaving its `with` stops it with SIGTERM."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, settings: Mapping[str, str], url: str = ""
    ) -> None:
        self.url = url
        self.output: list[str] = []
        self.errors: list[str] = []
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=clean_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=_collect, args=pair, daemon=True)
            for pair in ((self._process.stdout, self.output), (self._process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.stop()

    @property
    def written(self) -> str:
        """Standard output and standard error so far."""
        return "\n".join([*self.output, *self.errors])

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def resident_kib(self) -> int:
        """The memory it takes now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)

    def signal(self) -> None:
        """Tell it to stop, and go on."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: it ends without a word."""
        self._process.kill()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Its exit code. AssertionError if it has not ended by then; it is killed then."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"still running after {seconds} s:\n{self.written}") from None
        finally:
            for reader in self._readers:
                reader.join()
        return code

    def stop(self) -> int:
        """SIGTERM unless it has ended, then its exit code."""
        if not self.ended:
            self.signal()
        return self.wait()

    def get(self, path: str, key: str = "", **options: Any) -> httpx.Response:
        return self.request("GET", path, key, **options)

    def post(self, path: str, key: str, json: Any) -> httpx.Response:
        return self.request("POST", path, key, json=json)

    def chat(self, key: str, model: str) -> httpx.Response:
        messages = [{"role": "user", "content": "Hello"}]
        return self.post("/v1/chat/completions", key, {"model": model, "messages": messages})

    def models(self, key: str) -> list[str]:
        """The listed ids that name a provider; none where the call fails."""
        answer = self.get("/v1/models", key)
        cards = answer.json()["data"] if answer.is_success else []
        return [card["id"] for card in cards if card["id"].startswith(f"{card['owned_by']}/")]

    def request(self, method: str, path: str, key: str = "", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.request(
            method,
            self.url + path,
            headers={**headers, **options.pop("headers", {})},
            **CLIENT,
            **options,
        )


class Aurora(Running):
    """`manage.py serve`, from the moment that it listens.

    Whatever a test does with it, it must end well and write nothing but JSON lines.
    """

    def __init__(
        self,
        checkout: Path,
        settings: Mapping[str, str],
        command: Sequence[str] = (*MANAGE, "serve"),
    ) -> None:
        local = {
            "AURORA_HOST": "127.0.0.1",
            "AURORA_PORT": "0",
            "AURORA_STOP_DELAY_SECONDS": "0",
        }
        super().__init__(command, cwd=checkout, settings={**local, **settings})
        try:
            port = eventually(self._port, START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.url = f"http://127.0.0.1:{port}"

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        code = self.stop()
        if error is None:
            assert (code, self.errors) == (0, []), self.written
            assert all(isinstance(line, dict) for line in self.lines)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log so far. Raises where a line is not JSON."""
        return [json.loads(line) for line in self.output]

    def messages(self, level: str | None = None) -> list[str]:
        return [each["message"] for each in self.lines if level in (None, each["level"])]

    def call_line(self, request_id: str) -> dict[str, Any]:
        """The one line of a call, which is written as the call ends."""
        [line] = eventually(
            lambda: [each for each in self.lines if each.get("request_id") == request_id]
        )
        return line

    def _port(self) -> int:
        """0 until it listens."""
        assert not self.ended, f"it ended at its start:\n{self.written}"
        found = [line for line in self.lines if line["logger"] == "aurora.serve" and "port" in line]
        return found[0]["port"] if found else 0


def _collect(stream: IO[str], lines: list[str]) -> None:
    with stream:
        for line in stream:
            lines.append(line.removesuffix("\n"))
