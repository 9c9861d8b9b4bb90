"""Serves ASGI applications over real sockets, for the length of a test session."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from aurora_site.server import Server
from aurora_site.server.serving import reactor
from tests.patience import PATIENCE_SECONDS


class ServerThread:
    """The process's one reactor, in a thread of its own; it cannot be started twice.

    `start` gives each application its own port. `stop` ends one of them, or, without a URL, all of
    them and the reactor.
    """

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        running = threading.Event()
        reactor.callWhenRunning(running.set)
        self._thread = threading.Thread(
            target=reactor.run, kwargs={"installSignalHandlers": False}, daemon=True
        )
        self._thread.start()
        assert running.wait(PATIENCE_SECONDS)

    def start(self, application: Callable[..., Any], **options: Any) -> str:
        """The base URL, without a trailing slash, at which `application` is served."""
        address: list[tuple[str, int]] = []
        listening = threading.Event()

        def on_listening(host: str, port: int) -> None:
            address.append((host, port))
            listening.set()

        server = Server(application, on_listening=on_listening, signal_handlers=False, **options)
        reactor.callFromThread(server.start)
        assert listening.wait(PATIENCE_SECONDS)
        host, port = address[0]
        url = f"http://{host}:{port}"
        self.servers[url] = server
        return url

    def stop(self, url: str | None = None) -> None:
        for each in list(self.servers) if url is None else [url]:
            server = self.servers.pop(each)
            server.stop()
            assert server.stopped.wait(server.drain_seconds + PATIENCE_SECONDS)
        if url is None:
            reactor.callFromThread(reactor.stop)
            self._thread.join(PATIENCE_SECONDS)
