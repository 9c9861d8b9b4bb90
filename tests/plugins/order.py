"""In which order the tests run."""

from __future__ import annotations

from collections.abc import Generator

import pytest

START_PROCESSES = (
    "tests/browser/",
    "tests/process/",
    "tests/javascript/",
    "tests/aurora_site/test_container_entry.py",
)
WAITING = {"server_thread", "transactional_db", "vllm"}
"""Fixtures of tests that wait for servers or for the database."""


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """The longest first: no worker is left with one of them when all others are done."""
    yield  # pytest-django has an order of its own
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    if item.nodeid.startswith(START_PROCESSES):
        return 0
    return 1 if WAITING.intersection(getattr(item, "fixturenames", ())) else 2
