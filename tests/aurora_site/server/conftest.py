"""Serves an application for the length of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.serving import ServerThread


@pytest.fixture
def serve(server_thread: ServerThread) -> Iterator[Callable[..., str]]:
    """Serves an application until the test ends, and gives its URL."""
    urls: list[str] = []

    def start(app: Callable[..., Any], **options: Any) -> str:
        urls.append(server_thread.start(app, **{"drain_seconds": 0.05, **options}))
        return urls[-1]

    yield start
    for url in urls:
        if url in server_thread.servers:
            server_thread.stop(url)
