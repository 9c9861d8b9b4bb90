"""Tells that a client has left, of sockets that are not being read."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable


class Hangups:
    """Watches file descriptors for the peer's end alone. Where the system has no epoll it tells
    nothing; the end is then noticed at the next read."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._report)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Calls `callback` once, from the loop. Forget the descriptor before it is used anew."""
        self._callbacks[fd] = callback
        if self._epoll is not None:
            self._epoll.register(fd, select.EPOLLRDHUP)

    def forget(self, fd: int) -> None:
        if self._callbacks.pop(fd, None) is None or self._epoll is None:
            return
        try:
            self._epoll.unregister(fd)
        except OSError:  # closed meanwhile: the system has forgotten it itself
            return

    def close(self) -> None:
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _report(self) -> None:
        if self._epoll is None:
            return
        for fd, _ in self._epoll.poll(0):
            callback = self._callbacks.get(fd)
            self.forget(fd)
            if callback is not None:
                callback()
