"""Calls at a modest rate, from a thread of their own, for the length of a `with`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

import httpx

from tests.loopback import CLIENT
from tests.processes import eventually

PAUSE_SECONDS = 0.03


@dataclass(frozen=True)
class Made:
    """A call: how long it took, its status (0: no answer)."""

    seconds: float
    status: int
    body: str


class Traffic:
    """Chats with one model, one call after the other over one kept connection.

    `name` is the request id of every one of its calls.
    """

    def __init__(self, url: str, key: str, model: str) -> None:
        self.name = f"traffic-{uuid4()}"
        self.calls: list[Made] = []
        self._json = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}", "X-Request-Id": self.name},
            **CLIENT,
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    @property
    def failed(self) -> list[Made]:
        return [call for call in self.calls if call.status != 200]

    def wait_for_more(self, count: int = 3) -> None:
        """Until so many calls more have ended."""
        wanted = len(self.calls) + count
        eventually(lambda: len(self.calls) >= wanted)

    def _run(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            began = time.monotonic()
            try:
                answer = self._client.post("/v1/chat/completions", json=self._json)
                status, body = answer.status_code, answer.text
            except httpx.HTTPError as error:
                status, body = 0, repr(error)
            self.calls.append(Made(time.monotonic() - began, status, body))
