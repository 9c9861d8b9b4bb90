"""The server: listens, sweeps deadlines, drains on shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any, cast

import daphne.server  # it installs the reactor
from daphne.http_protocol import HTTPFactory
from twisted.internet import reactor as _reactor
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogBeginner,
)

from aurora_site.server.connection import Connection
from aurora_site.server.hangups import Hangups
from aurora_site.server.head import Headers
from aurora_site.server.room import Room
from aurora_site.server.websockets import WebSocket, websocket_factory

reactor: Any = _reactor

BACKLOG = 1024
SWEEP_SECONDS = 1.0
# What a cancelled application, and then the last bytes of its answer, get before the end.
CANCELLED_SECONDS = 5.0

logger = logging.getLogger("aurora.server")


class ConnectionFactory(HTTPFactory):
    """Makes connections, without the layer that would choose between HTTP/1 and HTTP/2."""

    noisy = False

    def buildProtocol(self, addr: Any) -> Connection | None:
        if not self.server.room.has_room_for(addr.host):
            return None  # closed at once: what there is must go on
        connection = Connection()
        connection.factory = self
        return connection

    def startFactory(self) -> None:
        """No access log, so no clock for it."""

    def stopFactory(self) -> None:
        """Nor an end of it."""


class Server(daphne.server.Server):
    """Runs one ASGI application on one address.

    A client that takes nothing of its answer for `client_stall_seconds`, a request head that is not
    complete after `head_seconds` and a connection idle for `keep_alive_seconds` are ended. How long
    a body or an answer may take is the application's affair. Of `most_connections` and one more,
    one makes room, as `Room` says. A WebSocket is pinged after `ping_seconds`
    of silence, and ended after as many more. `clock` tells the time for these limits, and each
    `sweep_seconds` at the latest they are looked at. `request_id`, if given, names each
    request by its headers, and the application finds that name in X-Request-Id. `hold` is asked whether
    what held so many bytes of a WebSocket's messages may hold as many others. On SIGTERM, SIGINT,
    SIGHUP or `stop()` applications have `drain_seconds` to finish and are cancelled then; a second
    signal cancels them at once, a third cuts all connections. On SIGTERM and SIGHUP the drain begins
    `leave_seconds` later, in which all is served as before, but connections end with their answers:
    time for load balancers to look elsewhere. `on_leaving` is called first of all, `on_stopping` is
    begun with the drain, `on_drained` once no call is left.
    """

    def __init__(
        self,
        application: Callable[..., Any],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        client_stall_seconds: float = 60,
        head_seconds: float = 30,
        keep_alive_seconds: float = 75,
        ping_seconds: float = 20,
        leave_seconds: float = 0,
        drain_seconds: float = 30,
        most_connections: int = 10_000,
        clock: Callable[[], float] | None = None,
        sweep_seconds: float = SWEEP_SECONDS,
        request_id: Callable[[Headers], str] | None = None,
        hold: Callable[[int, int], bool] = lambda before, after: True,
        on_listening: Callable[[str, int], None] | None = None,
        on_leaving: Callable[[], object] = lambda: None,
        on_stopping: Callable[[], Awaitable[object]] | None = None,
        on_drained: Callable[[], Awaitable[object]] | None = None,
        signal_handlers: bool = True,
    ) -> None:
        super().__init__(
            application,
            endpoints=[f"{host}:{port}"],
            signal_handlers=signal_handlers,
            server_name="aurora",
        )
        self.host, self.port = host, port
        self.client_stall_seconds = client_stall_seconds
        self.head_seconds = head_seconds
        self.keep_alive_seconds = keep_alive_seconds
        self.ping_seconds = ping_seconds
        self.leave_seconds, self.drain_seconds = leave_seconds, drain_seconds
        self.request_id, self.hold = request_id, hold
        self.on_listening = on_listening
        self.on_leaving = on_leaving
        self.on_stopping, self.on_drained = on_stopping, on_drained
        self.loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop
        self.clock = clock or self.loop.time
        self.sweep_seconds = sweep_seconds
        self.room = Room(most_connections, self.clock)
        self.connections_open: set[Connection] = set()
        self.websockets: set[WebSocket] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.leaving = self.stopping = False
        self._hurried = asyncio.Event()
        self.stopped = threading.Event()
        self._runs_reactor = False

    def run(self) -> None:
        """Serve until stopped. Raises twisted.internet.error.CannotListenError."""
        self._runs_reactor = True
        signals = _heard_signals() if self.signal_handlers else ()
        for number in signals:  # before anybody can know that it listens
            self.loop.add_signal_handler(number, self._signalled, number)
        try:
            self.start()
            reactor.run(installSignalHandlers=False)
        finally:
            for number in signals:
                self.loop.remove_signal_handler(number)

    def start(self) -> None:
        """Listen, on a reactor that runs or will; to be called in its thread."""
        asyncio.set_event_loop(self.loop)
        send_twisted_errors_to_logging()
        self.ws_factory = websocket_factory(self)
        self._listener = reactor.listenTCP(
            self.port, ConnectionFactory(self), backlog=BACKLOG, interface=self.host
        )
        self.hangups = Hangups(self.loop)
        self._sweep()
        address = self._listener.getHost()
        logger.debug("Listening on %s:%d", address.host, address.port)
        if self.on_listening is not None:
            self.on_listening(address.host, address.port)

    def stop(self) -> None:
        """Begin to stop; returns at once. May be called from any thread."""
        self.loop.call_soon_threadsafe(self._begin_to_stop)

    def _sweep(self) -> None:
        if self.stopped.is_set():
            return
        shortest = min(
            self.client_stall_seconds / 4,
            self.head_seconds,
            self.keep_alive_seconds,
            self.ping_seconds,
        )
        self.loop.call_later(min(self.sweep_seconds, shortest / 4), self._sweep)
        now = self.clock()
        for connection in self._connected():
            connection.expire(now)

    def _signalled(self, number: signal.Signals) -> None:
        if not self.leaving:  # whoever presses Ctrl-C waits for it
            self._begin_to_stop(0 if number == signal.SIGINT else self.leave_seconds)
        elif not self._hurried.is_set():
            logger.warning("Told to stop again: cancelling the calls that run")
            self._hurried.set()
        else:
            logger.warning("Told to stop a third time: ending at once")
            self._end()

    def _begin_to_stop(self, leave_seconds: float = 0) -> None:
        if not self.leaving:
            self.leaving = True
            self._draining = self.loop.create_task(self._leave(leave_seconds))

    async def _leave(self, seconds: float) -> None:
        self.on_leaving()
        if seconds:
            logger.info("Stopping in %g s: /ready is 503, calls are still taken", seconds)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurried.wait(), seconds)
        self.stopping = True
        await self._drain()

    async def _drain(self) -> None:
        self._listener.stopListening()
        for connection in list(self.connections_open):
            connection.close_if_idle()
        running = self._running()
        if running:
            logger.info("Stopping: %d calls have %s s to end", len(running), self.drain_seconds)
        else:
            logger.info("Stopping")
        stopping = self._begun(self.on_stopping)
        await self._drained(stopping)
        late = self._running()
        for task in late:
            task.cancel()
        if late:
            logger.warning("Cancelled %d calls that did not finish", len(late))
        await self._within(CANCELLED_SECONDS, late | stopping)
        await self._close_connections()
        await self._within(CANCELLED_SECONDS, self._begun(self.on_drained))
        self._end()

    async def _drained(self, stopping: set[asyncio.Future[Any]]) -> None:
        """Return once no call runs and `stopping` is done, or the calls' time is over."""
        idle = self.loop.create_task(self._until_idle(stopping))
        hurried = self.loop.create_task(self._hurried.wait())
        ends = {idle, hurried}
        await asyncio.wait(ends, timeout=self.drain_seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()

    async def _until_idle(self, stopping: set[asyncio.Future[Any]]) -> None:
        """A request whose head was on its way when the drain began becomes a call too."""
        while busy := self._running() | {each for each in stopping if not each.done()}:
            await asyncio.wait(busy)

    def _running(self) -> set[asyncio.Future[Any]]:
        return {task for task in self.tasks if not task.done()}

    def _begun(self, work: Callable[[], Awaitable[object]] | None) -> set[asyncio.Future[Any]]:
        return set() if work is None else {asyncio.ensure_future(work(), loop=self.loop)}

    @staticmethod
    async def _within(seconds: float, tasks: set[asyncio.Future[Any]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def _close_connections(self) -> None:
        """Give the last bytes of the last answers their time, which is short."""
        for connection in list(self.connections_open):
            connection.close_if_idle()
        end = self.loop.time() + CANCELLED_SECONDS
        while self._connected() and self.loop.time() < end:  # noqa: ASYNC110 - once a life
            await asyncio.sleep(0.01)

    def _connected(self) -> list[Connection | WebSocket]:
        return [*self.connections_open, *self.websockets]

    def _end(self) -> None:
        if self.stopped.is_set():
            return
        self.stopped.set()
        for task in self._running():
            task.cancel()
        for connection in self._connected():
            connection.abort()
        self.hangups.close()
        if self._runs_reactor:
            reactor.stop()


def _heard_signals() -> tuple[signal.Signals, ...]:
    """Those that begin the drain. SIGHUP is left ignored for a process that `nohup` started."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return signal.SIGTERM, signal.SIGINT
    return signal.SIGTERM, signal.SIGINT, signal.SIGHUP


@functools.cache
def send_twisted_errors_to_logging() -> None:
    """Once a process; Twisted's notes below an error are dropped."""
    errors: Any = LogLevelFilterPredicate(defaultLogLevel=LogLevel.error)
    observer: Any = FilteringLogObserver(cast(Any, STDLibLogObserver("aurora.server")), [errors])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
