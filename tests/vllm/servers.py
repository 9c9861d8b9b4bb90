"""Real processes: tiny vLLM servers on the CPU, and Aurora in front of them.

The lane's fixtures and `scripts/demo.py` start what they need with this. Everything listens on
loopback; whoever starts a server stops it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.processes import clean_environment, free_port, soon

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".vllm"
TEXT_MODEL = "meta-llama/Llama-3.1-8B-Instruct"
EMBED_MODEL = "BAAI/bge-m3"
RERANK_MODEL = "BAAI/bge-reranker-v2-m3"
CLASSIFY_MODEL = "cardiffnlp/twitter-roberta-base-sentiment"
TEXT_FLAGS = (
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
    *("--tool-strict-level", "parameter"),
    *("--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}'),
)
VLLM_READY_SECONDS = 400
AURORA_READY_SECONDS = 60
STOP_SECONDS = 20
LOG_TAIL_LINES = 20


class NotReady(Exception):
    """A server ended or stayed silent. The text has the last lines of its log."""


class Server:
    """A child process that serves HTTP on a port of loopback, with its output in the file `log`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        ready: str,
        log: Path,
        env: Mapping[str, str],
        urgent: bool = False,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self._command = list(command)
        self._ready = self.url + ready
        self._env = dict(env)
        self._urgent = urgent
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again after a stop. A session of its own keeps Ctrl-C from it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self._urgent:
            run_before_others(self._process.pid)

    def wait(self, seconds: float) -> None:
        """Return once the server answers 200. Raises NotReady."""
        if not soon(self._answers, seconds):
            raise NotReady(f"{self._ready} gave no 200 in {seconds} s.\n{self.tail()}")

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise NotReady(f"{self._command[0]} ended at its start.\n{self.tail()}")
        try:
            return httpx.get(self._ready, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and its children: with SIGTERM, and with SIGKILL what is left of it then."""
        if self._process is None:
            return
        if how == signal.SIGTERM and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"--- the end of {self.log.name} ---", *lines])


def vllm(kind: str, served: str, log: Path, *flags: str) -> Server:
    """A vLLM server, not started, with the tiny model `kind` under the name `served`."""
    port = free_port()
    script, venv, model = ROOT / "tests/vllm/serve.sh", HOME / "venv", HOME / "models" / kind
    command = [*map(str, (script, venv, model)), served, str(port), *flags]
    return Server(command, port=port, ready="/health", log=log, env=clean_environment())


def aurora(
    data: Path,
    port: int,
    log: Path,
    providers: Mapping[str, Mapping[str, str]] | None = None,
    **settings: str,
) -> Server:
    """Aurora, not started, with these settings and no others, its state in `data`.

    `providers` are those of its YAML file, which is not the config.yaml of whoever runs this.
    """
    data.mkdir(parents=True, exist_ok=True)
    config = data / "providers.yaml"
    config.write_text(json.dumps({"providers": dict(providers or {})}))  # YAML as well
    env = clean_environment() | {
        "AURORA_HOST": "127.0.0.1",
        "AURORA_PORT": str(port),
        "AURORA_DATA_DIR": str(data),
        "AURORA_CONFIG": str(config),
        "DATABASE_URL": "",
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    command = [sys.executable, str(ROOT / "manage.py"), "serve"]
    return Server(command, port=port, ready="/ready", log=log, env=env, urgent=True)


def wait_for_models(server: Server, key: str, count: int) -> None:
    """Return once Aurora lists `count` models, each of one server: it is ready with the first.
    Raises NotReady."""
    headers = {"Authorization": f"Bearer {key}"}

    def listed() -> bool:
        answer = httpx.get(server.url + "/v1/models", headers=headers)
        cards = answer.json()["data"] if answer.status_code == 200 else []
        return sum(card["id"].startswith(f"{card['owned_by']}/") for card in cards) == count

    if not soon(listed, AURORA_READY_SECONDS):
        raise NotReady(f"Aurora does not list {count} models.\n{server.tail()}")


def run_before_others(pid: int, *, alone: bool = False) -> None:
    """Let a process run whenever it can, and with `alone` not the children it makes later.

    While vLLM generates on two cores, any other process waits up to 5 s for its turn, whatever
    its nice level. Where the machine does not permit this, the tests only take longer.
    """
    policy = os.SCHED_FIFO | (os.SCHED_RESET_ON_FORK if alone else 0)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(pid, policy, os.sched_param(10))
