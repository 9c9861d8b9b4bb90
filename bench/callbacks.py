"""The longest callback of an event loop, by processor time: how long all other calls had to wait.

As a program it runs a command of `manage.py` in its own process, and tells whoever connects to
its port what the longest callback was since it was asked last, in milliseconds.

    python -m bench.callbacks PORT serve
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Callbacks:
    """Measures the callbacks of all loops in this process, on whichever threads, within `measured`."""

    def __init__(self) -> None:
        self.longest_seconds = self.seconds = 0.0

    def taken(self) -> float:
        """The longest since this was asked last, in seconds."""
        longest, self.longest_seconds = self.longest_seconds, 0.0
        return longest

    @contextmanager
    def measured(self, only: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """`only` says whether the callback that begins now counts."""
        handle: Any = asyncio.Handle
        run = handle._run

        def timed(self_: asyncio.Handle) -> None:
            if not only():
                run(self_)
                return
            began = time.thread_time()
            run(self_)
            spent = time.thread_time() - began
            self.seconds += spent
            self.longest_seconds = max(self.longest_seconds, spent)

        handle._run = timed
        try:
            yield
        finally:
            handle._run = run


def _tell(callbacks: Callbacks, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"%.3f" % (callbacks.taken() * 1000))


def main() -> None:
    port, *words = sys.argv[1:]
    callbacks = Callbacks()
    threading.Thread(target=_tell, args=(callbacks, int(port)), daemon=True).start()
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aurora_site.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - of Aurora's

    with callbacks.measured():
        execute_from_command_line([str(ROOT / "manage.py"), *words])


if __name__ == "__main__":
    main()
