"""How the mock, Aurora and LiteLLM are started, each with the settings it is measured with."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.client import Server
from bench.mock import MODEL
from bench.processes import CannotStart, Command, running, wait_until_ready
from tests.processes import free_port

ROOT = Path(__file__).resolve().parent.parent
LITELLM = ROOT / ".litellm"
LITELLM_REQUIREMENTS = ROOT / "bench" / "requirements-litellm.txt"


@dataclass(frozen=True, slots=True)
class Place:
    """Where things run: a folder for what they write, the gateway's core, and the other one."""

    folder: Path
    gateway_core: int
    load_core: int


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is up, and its process."""

    server: Server
    pid: int


Starter = Callable[[Place, int], AbstractAsyncContextManager[Running]]


@contextlib.asynccontextmanager
async def mock(place: Place) -> AsyncIterator[Running]:
    """The upstream of all others. It shares the load's core."""
    server = Server("mock", free_port(), MODEL)
    words = (sys.executable, "-m", "bench.mock", "--port", str(server.port))
    command = Command("mock", words, {"PYTHONPATH": str(ROOT)}, place.folder, place.load_core)
    with running(command) as process:
        await wait_until_ready(process, command, server, "/health", 20)
        yield Running(server, process.pid)


@contextlib.asynccontextmanager
async def aurora(
    place: Place, mock_port: int, words: tuple[str, ...] = (str(ROOT / "manage.py"), "serve")
) -> AsyncIterator[Running]:
    """`manage.py serve` on fresh data, with a master key, logging each call to a file. `words` start it
    in another way.

    Raises:
        CannotStart: it is not ready within 60 s.
    """
    key = secrets.token_hex(32)
    server = Server("aurora", free_port(), f"vllm/{MODEL}", key)
    data = place.folder / f"data-{server.port}"
    data.mkdir()
    variables = {
        "PYTHONPATH": str(ROOT),
        "AURORA_HOST": "127.0.0.1",
        "AURORA_PORT": str(server.port),
        "AURORA_DATA_DIR": str(data),
        "AURORA_MASTER_KEY": key,
        "AURORA_LOG_LEVEL": "info",
        "AURORA_STOP_DELAY_SECONDS": "0",
        "VLLM_BASE_URL": f"http://127.0.0.1:{mock_port}/v1",
    }
    started = (sys.executable, *words)
    command = Command("aurora", started, variables, place.folder, place.gateway_core)
    with running(command) as process:
        await wait_until_ready(process, command, server, "/ready", 60)
        yield Running(server, process.pid)


LITELLM_CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "http://127.0.0.1:{port}/v1", api_key: none}}
general_settings: {{master_key: "{key}"}}
litellm_settings: {{telemetry: false}}
"""
# Offline, and as its documentation advises for production: errors alone are logged.
LITELLM_VARIABLES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_TELEMETRY": "False",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "DISABLE_ADMIN_UI": "True",
}


@contextlib.asynccontextmanager
async def litellm(place: Place, mock_port: int) -> AsyncIterator[Running]:
    """LiteLLM's proxy, one worker, with a master key and without a database.

    Raises:
        CannotStart: it cannot be installed, or is not ready within 90 s.
    """
    install("LiteLLM", LITELLM, LITELLM_REQUIREMENTS)
    key = f"sk-{secrets.token_hex(16)}"
    server = Server("litellm", free_port(), MODEL, key)
    config = place.folder / "litellm.yaml"
    config.write_text(LITELLM_CONFIG.format(model=MODEL, port=mock_port, key=key))
    listen = ("--host", "127.0.0.1", "--port", str(server.port), "--num_workers", "1")
    words = (str(LITELLM / "bin" / "litellm"), "--config", str(config), *listen)
    command = Command("litellm", words, LITELLM_VARIABLES, place.folder, place.gateway_core)
    with running(command) as process:
        await wait_until_ready(process, command, server, "/health/liveliness", 90)
        yield Running(server, process.pid)


def install(name: str, folder: Path, requirements: Path) -> None:
    """Make the virtual environment `folder`, unless it is there. Takes minutes. Raises CannotStart
    when it fails."""
    done, wanted = folder / "installed.txt", requirements.read_text()
    if done.is_file() and done.read_text() == wanted:
        return
    print(f"installing {name} into {folder.name}/ ...", file=sys.stderr, flush=True)
    pip = (folder / "bin" / "pip", "install", "--quiet", "-r", requirements)
    try:
        subprocess.run((sys.executable, "-m", "venv", folder), check=True)
        subprocess.run(pip, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotStart(f"{name} cannot be installed: {error}") from error
    done.write_text(wanted)
