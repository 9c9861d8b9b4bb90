"""A store on the database of the suite, on a loop of its own thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.state.stores import RunningStore


@pytest.fixture
def store(transactional_db: Any) -> Iterator[RunningStore]:
    with RunningStore() as running:
        yield running


@pytest.fixture
def other_process(transactional_db: Any) -> Iterator[RunningStore]:
    """Another store on the same database: nothing of what waits in `store` is known to it."""
    with RunningStore() as running:
        yield running
