"""A database that is milliseconds away, or falls silent: what was acknowledged is found, everywhere."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.process.databases import Database, Postgres
from tests.process.running import Aurora
from tests.process.test_silent_database import Silenceable
from tests.process.test_spools import missing, started, stored
from tests.process.test_stored_responses import MASTER_KEY, answering
from tests.scripted_vllm import ScriptedVllm

COUNT = 150
WAY_SECONDS = 0.002


class Distant(Silenceable):
    """Hands each piece on after a while, both ways."""

    def _hand_on(self, piece: bytes, target: socket.socket) -> None:
        time.sleep(WAY_SECONDS)
        super()._hand_on(piece, target)


@pytest.fixture
def between(database: Database) -> Iterator[tuple[Distant, Mapping[str, str]]]:
    """The way to the database, and the variables that make Aurora take it."""
    if not isinstance(database, Postgres):
        pytest.skip("a file has no host")
    url = urlsplit(database.root_url)
    host = Distant(url.hostname or "127.0.0.1", url.port or 5432)
    login = url.netloc.rpartition("@")[0]
    through = url._replace(netloc=f"{login}@127.0.0.1:{host.port}").geturl()
    yield host, replace(database, root_url=through).settings
    host.close()


@pytest.fixture
def settings(between: tuple[Distant, Mapping[str, str]], vllm: ScriptedVllm) -> Mapping[str, str]:
    vllm.answers = answering()
    return {**between[1], "AURORA_MASTER_KEY": MASTER_KEY, "VLLM_BASE_URL": vllm.url}


def test_all_that_is_stored_far_away_is_found_at_another_process_at_once(
    checkout: Path, settings: Mapping[str, str]
) -> None:
    with started(checkout, settings) as one, started(checkout, settings) as other:
        for _ in range(3):
            ids = stored(one, COUNT // 3)
            assert missing(other, ids) == []
        said = one.messages("error") + one.messages("warning")
        assert [text for text in said if "kept" in text or "safe" in text] == []


def test_what_is_acknowledged_while_the_database_is_silent_outlives_the_process(
    checkout: Path, between: tuple[Distant, Mapping[str, str]], settings: Mapping[str, str]
) -> None:
    host, _ = between
    aurora: Aurora = started(checkout, settings)
    try:
        ids = stored(aurora, 10)
        host.silence()
        ids += stored(aurora, 40)
    finally:
        aurora.stop()
        host.speak()
    with started(checkout, settings) as again:
        assert missing(again, ids) == []
