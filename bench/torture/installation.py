"""Aurora's processes on one PostgreSQL database of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.client import Server
from bench.contenders import ROOT
from bench.mock import MODEL
from bench.processes import Command, log_of, running, wait_until_ready
from bench.torture.link import Link, open_link
from bench.torture.servers import Fleet
from tests.process.databases import Postgres
from tests.processes import free_port

READY_SECONDS = 120.0
END_SECONDS = 90.0
RUN = f"torture_{secrets.token_hex(6)}"


@dataclass(slots=True)
class Process:
    """One of the processes; `server` is how it is called. It can be ended and started again."""

    server: Server
    commands: Iterator[Command]
    life: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    popen: subprocess.Popen[bytes] | None = None
    logs: list[Path] = field(default_factory=list)

    async def start(self, *, until: str = "/ready") -> None:
        """Return once it answers. Raises bench.processes.CannotStart."""
        command = next(self.commands)
        self.logs.append(log_of(command))
        self.popen = self.life.enter_context(running(command))
        await wait_until_ready(self.popen, command, self.server, until, READY_SECONDS)

    async def end(self, number: signal.Signals) -> int:
        """Its exit code. Raises TimeoutError where it does not end."""
        assert self.popen is not None
        self.popen.send_signal(number)
        return await asyncio.wait_for(asyncio.to_thread(self.popen.wait), END_SECONDS)

    def lines(self) -> list[dict[str, Any]]:
        """What its lives have logged. A line that was cut by a kill is left out."""
        found = []
        for log in self.logs:
            for line in log.read_text(errors="replace").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    found.append(json.loads(line))
        return found


@dataclass(slots=True)
class Installation:
    """All of it. `link` is the way to the database, which can be slowed and cut."""

    key: str
    processes: list[Process]
    link: Link
    fleet: Fleet

    @contextlib.asynccontextmanager
    async def api(self, process: int = 0) -> AsyncIterator[httpx.AsyncClient]:
        """The management API of one process, with the master key."""
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.processes[process].server.port}",
            headers={"authorization": f"Bearer {self.key}"},
            timeout=60,
            trust_env=False,
        ) as client:
            yield client

    def faults_logged(self) -> list[str]:
        """What was logged as an error: nothing that these trials do may be one, but an outage."""
        lines = [line for process in self.processes for line in process.lines()]
        return [line["message"] for line in lines if line.get("level") == "error"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where trials are run: a folder, the two cores, the root database, and how large they are."""

    folder: Path
    gateway_core: int
    load_core: int
    root_url: str
    is_quick: bool = False

    def sized(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full


@contextlib.asynccontextmanager
async def open_installation(
    stage: Stage, fleet: Fleet, *, processes: int = 2, delay_seconds: float = 0.0, **more: str
) -> AsyncIterator[Installation]:
    """`processes` of them, ready, with all servers of `fleet`. `more` are further variables."""
    folder = stage.folder / secrets.token_hex(4)
    folder.mkdir()
    key = secrets.token_hex(32)
    database = Postgres.create(stage.root_url, secrets.token_hex(32), RUN, folder)
    root = urlsplit(database.url)
    try:
        async with open_link(root.hostname or "", root.port or 5432, delay_seconds) as link:
            at = f"{root.username}:{root.password}@" if root.password else f"{root.username}@"
            variables = {
                **database.settings,
                "DATABASE_URL": f"postgres://{at}127.0.0.1:{link.port}{root.path}",
                "AURORA_HOST": "127.0.0.1",
                "AURORA_MASTER_KEY": key,
                **{f"VLLM_{n}_BASE_URL": url for n, url in enumerate(fleet.urls, 1)},
                **more,
            }
            made = [_process(stage, folder, key, variables) for _ in range(processes)]
            with contextlib.ExitStack() as lives:
                for process in made:
                    lives.enter_context(process.life)
                    await process.start()
                yield Installation(key, made, link, fleet)
    finally:
        database.drop()


def _process(stage: Stage, folder: Path, key: str, variables: dict[str, str]) -> Process:
    port = free_port()
    own = {**variables, "AURORA_PORT": str(port)}
    words = (sys.executable, str(ROOT / "manage.py"), "serve")

    def commands() -> Iterator[Command]:
        life = 0
        while True:
            life += 1
            yield Command(f"aurora-{port}-{life}", words, own, folder, stage.gateway_core)

    return Process(Server("aurora", port, MODEL, key), commands())
