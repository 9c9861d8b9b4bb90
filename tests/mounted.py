"""A gateway with its own catalog, served on a real socket for the length of one test."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec

from aurora_site.logs import JsonFormatter
from gateway.application import Gateway
from gateway.client import Limits
from gateway.cors import Cors
from gateway.fleet import Fleet
from gateway.headers import request_id
from gateway.relay import relay
from gateway.state.store import Store
from gateway.upstream import Door, Waits
from providers import addresses, secrets
from providers.catalog import Catalog
from providers.observed import Lookout
from providers.snapshot import AliasEntry, Card, KeyEntry, ProviderEntry, Snapshot
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.processes import eventually, soon
from tests.raw_http import Answer, Pairs, RawClient, request_bytes
from tests.serving import ServerThread

Result = TypeVar("Result")
MASTER_KEY = "aurora-master-secret-of-these-tests"
UPSTREAM_KEY = "upstream-secret-of-these-tests"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
CHAT = "/v1/chat/completions"
UNHURRIED = Waits(
    keep_alive_seconds=NEVER_SECONDS,
    stale_seconds=NEVER_SECONDS,
    drain_seconds=NEVER_SECONDS,
    refusal_seconds=NEVER_SECONDS,
    ping_seconds=NEVER_SECONDS,
    last_words_seconds=NEVER_SECONDS,
    flush_seconds=NEVER_SECONDS,
    closing_seconds=NEVER_SECONDS,
)
"""No busy machine makes the door give anything up."""
NO_HURRY = Limits(
    body_bytes=2**20,
    upload_stall_seconds=NEVER_SECONDS,
    ping_seconds=NEVER_SECONDS,
    head_seconds=NEVER_SECONDS,
    comment_seconds=NEVER_SECONDS,
)
"""Nor is a client taken for a slow one, nor told that it waits."""


def provider(
    url: str,
    name: str = "alpha",
    *,
    models: Iterable[str] | dict[str, Card] = (MODEL,),
    key: str | None = UPSTREAM_KEY,
    **settings: Any,
) -> ProviderEntry:
    """An entry of type vllm, with limits that no test reaches unless its `settings` say so."""
    cards = models if isinstance(models, dict) else {model: {"id": model} for model in models}
    limits = dict.fromkeys(("connect_seconds", "first_byte_seconds", "idle_seconds"), NEVER_SECONDS)
    return ProviderEntry(
        id=uuid4(),
        name=name,
        type="vllm",
        address=addresses.parse(url),
        authorization=f"Bearer {key}" if key else None,
        models=MappingProxyType(cards),
        **{**limits, **settings},
    )


def key_of(secret: str, *, kind: str = "master", expires: datetime | None = None) -> KeyEntry:
    return KeyEntry(uuid4(), "a test's key", secrets.hint(secret), kind, expires)


def snapshot(
    providers: Iterable[ProviderEntry],
    keys: dict[str, KeyEntry] | None = None,
    aliases: Iterable[AliasEntry] = (),
) -> Snapshot:
    """`keys` are by secret; without them MASTER_KEY is a master key."""
    known = {MASTER_KEY: key_of(MASTER_KEY)} if keys is None else keys
    ordered = sorted(providers, key=lambda entry: entry.name)
    return Snapshot(
        revision=1,
        providers=MappingProxyType({entry.name: entry for entry in ordered}),
        keys=MappingProxyType({secrets.digests(secret)[0]: key for secret, key in known.items()}),
        aliases=MappingProxyType({alias.name: alias for alias in aliases}),
    )


class Lines(logging.Handler):
    """Keeps the lines of a logger as they would be printed, and lets a thread wait for them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.texts: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.texts.append((record.name, self.format(record)))
            self._changed.notify_all()

    def of(self, logger: str) -> list[dict[str, Any]]:
        """Without the lines of what runs in the background: those are `of_runs`."""
        return [line for line in self._of(logger) if not _is_of_a_run(line)]

    def of_runs(self) -> list[dict[str, Any]]:
        return [line for line in self._of("aurora.calls") if _is_of_a_run(line)]

    def _of(self, logger: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(text) for name, text in self.texts if name == logger]

    def wait_for(
        self, logger: str, count: int, seconds: float = PATIENCE_SECONDS
    ) -> list[dict[str, Any]]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.of(logger)) >= count, seconds)
        return self.of(logger)


def _is_of_a_run(line: dict[str, Any]) -> bool:
    return str(line.get("path", "")).endswith("(background)")


class MountedGateway:
    """Serves `gateway.application.Gateway` from its start to `close`, which checks what must hold
    after any test: every call has its one line, no line holds a secret, nothing runs on."""

    def __init__(
        self,
        thread: ServerThread,
        limits: Limits,
        *,
        store: Store | None = None,
        origins: tuple[str, ...] = (),
        waits: Waits = UNHURRIED,
        of_fleet: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Without `store` nothing is kept, and no database is needed. Pages of `origins` may call
        it. `of_fleet` are options of the fleet, which repeats no call unless they say so: each
        answer of a server is the test's to see. `options` are Gateway's."""
        self.is_alone = True  # False: another one's lines are among those of this one
        self.catalog = Catalog()
        self.used_keys: list[UUID] = []
        self.calls = 0
        self._lines = Lines()
        self._thread = thread
        self._door = Door(connections=100, waits=waits)
        self.store = store or Store(retention_days=0)
        self.lookout = Lookout()
        self.fleet = Fleet(
            self.catalog, self.lookout, **{"repeated_share": 0.0, **(of_fleet or {})}
        )
        """What it sees of the servers; to be looked at while it is idle, or `on_loop`."""
        self._gateway = Gateway(
            self.catalog,
            self._door,
            limits,
            self.used_keys.append,
            self.store,
            fleet=self.fleet,
            **options,
        )
        self._clients: list[RawClient] = []
        logging.getLogger("aurora").addHandler(self._lines)
        self.url = thread.start(
            Cors(self._counted, origins, limits),
            drain_seconds=0.05,
            request_id=request_id,
            on_stopping=self._gateway.begin_to_stop,
        )
        self.port = urlsplit(self.url).port or 0
        self._server = thread.servers[self.url]
        if store is not None:
            self._server.loop.call_soon_threadsafe(self._gateway.start)

    async def _counted(self, *asgi: Any) -> None:
        self.calls += 1
        await self._gateway(*asgi)

    def publish(
        self,
        *providers: ProviderEntry,
        keys: dict[str, KeyEntry] | None = None,
        aliases: Iterable[AliasEntry] = (),
    ) -> None:
        """What the calls that begin from now on know."""
        self.catalog.publish(snapshot(providers, keys, aliases))

    def connect(self, timeout_seconds: float = PATIENCE_SECONDS) -> RawClient:
        """A connection, closed with the gateway at the latest."""
        client = RawClient("127.0.0.1", self.port, timeout_seconds)
        self._clients.append(client)
        return client

    def call(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        key: str | None = MASTER_KEY,
    ) -> Answer:
        """One call over a connection of its own; `key` goes into Authorization."""
        client = self.connect()
        client.send(request(method, target, body, headers, key))
        try:
            return client.read_answer(to_head=method == "HEAD")
        finally:
            client.close()

    def post(self, target: str, value: Any, **options: Any) -> Answer:
        """`value` as JSON."""
        return self.call("POST", target, msgspec.json.encode(value), **options)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The lines of "aurora.calls", one for each call that has come in so far."""
        return self._lines.wait_for("aurora.calls", self.calls)

    def record(self) -> dict[str, Any]:
        """The line of the only call."""
        [line] = self._lines.wait_for("aurora.calls", 1)
        return line

    def lines(self, logger: str, having: str) -> list[dict[str, Any]]:
        """The lines of another logger that have this member, one at least."""
        return eventually(lambda: [line for line in self._lines.of(logger) if having in line])

    @property
    def log_text(self) -> str:
        """Every line of every logger of Aurora's."""
        return "\n".join(text for _, text in self._lines.texts)

    def wait_until_calls(self, count: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Until so many calls have begun."""
        eventually(lambda: self.calls >= count, seconds)

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The lines of what has run in the background."""
        return self._lines.of_runs()

    def running(self) -> dict[str, int]:
        """How much is under way: calls, tasks of the loop, connections to providers in use."""
        return self.on_loop(self._running())

    def wait_until(
        self, holds: Callable[[dict[str, int]], bool], seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Until what is `running()` is as wanted."""
        running: dict[str, int] = {}

        def held() -> bool:
            running.update(self.running())
            return holds(running)

        assert soon(held, seconds), f"after {seconds} s: {running}"

    def wait_until_relaying(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Until the headers of an upstream's answer are in, whether or not a body follows."""
        eventually(lambda: self.on_loop(self._relaying()), seconds)

    async def _relaying(self) -> bool:
        return any(_is_within(task, relay) for task in self._server.tasks)

    def wait_until_idle(self, seconds: float = PATIENCE_SECONDS) -> None:
        self.wait_until(lambda running: not any(running.values()), seconds)

    async def _running(self) -> dict[str, int]:
        session = self._door._transport._session
        connector: Any = session.connector if session is not None else None
        return {
            "calls": len(self._server.tasks),
            "tasks": len(asyncio.all_tasks()) - 1,
            "connections": len(connector._acquired) if connector is not None else 0,
        }

    def stop_runs(self) -> None:
        """What a server that stops has done to what runs in the background."""
        self.on_loop(self._gateway.stop_runs())

    def stop(self) -> None:
        """What SIGTERM does; its calls have 50 ms to end."""
        self._server.stop()

    def wait_until_arriving(self, seconds: float = 10.0) -> None:
        """Until a part of the head of a request is there."""
        eventually(
            lambda: any(each._arrived for each in list(self._server.connections_open)), seconds
        )

    def wait_until_stopping(self, seconds: float = 10.0) -> None:
        """Until it is known that the process is to stop."""
        eventually(lambda: self._gateway._is_stopping, seconds)

    def cancel_calls(self) -> None:
        """What a server does to the calls that outlast its patience when it stops."""
        for task in list(self._server.tasks):
            self._server.loop.call_soon_threadsafe(task.cancel)

    def on_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._server.loop).result(PATIENCE_SECONDS)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        try:
            self.wait_until(lambda running: not running["calls"])
            self.stop_runs()
            self.on_loop(self.store.stop(1.0))
            self.wait_until_idle()
            assert not self.is_alone or len(self._lines.of("aurora.calls")) == self.calls
            for secret in (MASTER_KEY, UPSTREAM_KEY):
                assert secret not in self.log_text
        finally:
            self._thread.stop(self.url)
            self.on_loop(self._door.aclose())
            logging.getLogger("aurora").removeHandler(self._lines)


def _is_within(task: asyncio.Task[Any], function: Callable[..., Any]) -> bool:
    """Whether `task` waits for something that `function` has called, at any depth."""
    awaited: Any = task.get_coro()
    while awaited is not None:
        if getattr(awaited, "cr_code", None) is function.__code__:
            return True
        awaited = getattr(awaited, "cr_await", None)
    return False


def request(
    method: str,
    target: str,
    body: bytes = b"",
    headers: Iterable[tuple[str, str]] = (),
    key: str | None = MASTER_KEY,
) -> bytes:
    """The bytes of a call; JSON unless `headers` say otherwise."""
    pairs: list[tuple[str, str]] = list(headers)
    if key is not None:
        pairs.append(("Authorization", f"Bearer {key}"))
    if body and not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("Content-Type", "application/json"))
    return request_bytes(method, target, pairs, body)


def chat(**members: Any) -> bytes:
    """The body of a chat completion for MODEL on the provider `alpha`."""
    value = {"model": f"alpha/{MODEL}", "messages": [], **members}
    return msgspec.json.encode(value)


def error_of(answer: Answer) -> dict[str, Any]:
    """The error in `answer`, which must be in the one shape."""
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert list(answer.json) == ["error"]
    error: dict[str, Any] = answer.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    return error


def pairs_named(pairs: Pairs, name: str) -> list[str]:
    return [value for key, value in pairs if key.lower() == name]
