"""The scripted fleet, and who may stand before it: Aurora by each policy, and vllm-router."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from bench.client import Server
from bench.contenders import ROOT, Place, install
from bench.mock import MODEL
from bench.processes import CannotStart, Command, log_of, running, wait_until_ready
from tests.processes import free_port

SERVERS = 50
PROCESSES = 3
"""Of Aurora: what one of them knows, the others must not need."""
READY_SECONDS = 60
ROUTER = ROOT / ".vllm-router"
ROUTER_REQUIREMENTS = ROOT / "bench" / "requirements-vllm-router.txt"


@dataclass(frozen=True, slots=True)
class Fronts:
    """Where calls go, and the processes that are measured."""

    servers: tuple[Server, ...]
    pids: tuple[int, ...]


Starter = Callable[[Place, Sequence[int]], AbstractAsyncContextManager[Fronts]]


@dataclass(frozen=True, slots=True)
class Contender:
    """How it is started, and whether the servers behind it tell it the tokens of prompts, as vLLM
    does where it is started with --enable-scale-out."""

    start: Starter
    renders: bool = False
    policy: str = ""
    """Aurora's."""


@contextlib.asynccontextmanager
async def fleet(place: Place, *, renders: bool) -> AsyncIterator[list[int]]:
    """The ports of SERVERS servers with empty caches. They share the load's core."""
    words = [sys.executable, "-m", "bench.fleet.servers", "--count", str(SERVERS)]
    words += ["--render"] * renders
    command = Command("servers", words, {"PYTHONPATH": str(ROOT)}, place.folder, place.load_core)
    with running(command):
        yield await _printed_ports(command)


async def _printed_ports(command: Command) -> list[int]:
    """Raises CannotStart."""
    for _ in range(200):
        await asyncio.sleep(0.1)
        line, _, rest = log_of(command).read_text(errors="replace").partition("\n")
        if line.startswith("["):
            ports: list[int] = json.loads(line)
            return ports
    raise CannotStart(f"{command.name} did not start: {line}\n{rest}")


def aurora(policy: str) -> Starter:
    """PROCESSES of `manage.py serve` on one fresh SQLite database."""

    @contextlib.asynccontextmanager
    async def started(place: Place, ports: Sequence[int]) -> AsyncIterator[Fronts]:
        key, data = secrets.token_hex(32), place.folder / f"data-{policy}"
        data.mkdir()
        config = data / "providers.yaml"
        urls = {f"gpu-{number}": f"http://127.0.0.1:{port}" for number, port in enumerate(ports)}
        providers = {name: {"type": "vllm", "base_url": url} for name, url in urls.items()}
        config.write_text(json.dumps({"providers": providers}))  # YAML as well
        variables = {
            "AURORA_HOST": "127.0.0.1",
            "AURORA_DATA_DIR": str(data),
            "AURORA_CONFIG": str(config),
            "AURORA_MASTER_KEY": key,
            "AURORA_POOL_POLICY": policy,
        }
        fronts, pids = [], []
        with contextlib.ExitStack() as stack:
            for number in range(PROCESSES):
                server = Server("aurora", free_port(), MODEL, key)
                own = {**variables, "AURORA_PORT": str(server.port)}
                words = (sys.executable, str(ROOT / "manage.py"), "serve")
                name = f"aurora-{policy}-{number}"
                command = Command(name, words, own, place.folder, place.gateway_core)
                process = stack.enter_context(running(command))
                await wait_until_ready(process, command, server, "/ready", READY_SECONDS)
                fronts.append(server)
                pids.append(process.pid)
            yield Fronts(tuple(fronts), tuple(pids))

    return started


@contextlib.asynccontextmanager
async def router(place: Place, ports: Sequence[int]) -> AsyncIterator[Fronts]:
    """vllm-router, by its policy that knows of prefix caches, else as it comes. It goes by the tokens
    of prompts where servers tell them; by what it can without.

    Raises:
        CannotStart: it cannot be installed, or is not ready in time.
    """
    install("vllm-router", ROUTER, ROUTER_REQUIREMENTS)
    server = Server("vllm-router", free_port(), MODEL)
    words = (
        str(ROUTER / "bin" / "vllm-router"),
        *("--host", "127.0.0.1", "--port", str(server.port)),
        *("--prometheus-port", str(free_port()), "--log-level", "warning"),
        *("--policy", "cache_aware", "--worker-urls"),
        *(f"http://127.0.0.1:{port}" for port in ports),
    )
    command = Command("vllm-router", words, {}, place.folder, place.gateway_core)
    with running(command) as process:
        await wait_until_ready(process, command, server, "/v1/models", READY_SECONDS)
        yield Fronts((server,), (process.pid,))


POLICIES = ("affinity", "least_loaded", "round_robin", "random")
CONTENDERS = {
    "cache_aware": Contender(router),
    "cache_aware_rendering": Contender(router, renders=True),
    **{policy: Contender(aurora(policy), policy=policy) for policy in POLICIES},
}
