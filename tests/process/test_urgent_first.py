"""What is urgent waits for nothing that is not, in processes as operators run them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.process.databases import Database, Postgres
from tests.process.pgbouncer import pgbouncer
from tests.process.running import Aurora
from tests.processes import eventually

MASTER_KEY = "sk-of-what-is-urgent-0123456789"
MANY, MOST_TESTS = 8, 3


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_servers_that_stall_under_test_leave_room_for_the_rest(serve) -> None:
    with silent_server() as url, ThreadPoolExecutor(MANY) as pool:
        aurora = serve(AURORA_MASTER_KEY=MASTER_KEY, VLLM_BASE_URL=url)
        tests = [
            pool.submit(aurora.post, "/api/providers/vllm/test", MASTER_KEY, None)
            for _ in range(MANY)
        ]
        eventually(lambda: sum(test.done() for test in tests) >= MANY - MOST_TESTS)

        assert aurora.get("/api/providers", MASTER_KEY).is_success

        statuses = sorted(test.result().status_code for test in tests)
        assert statuses == [200] * MOST_TESTS + [429] * (MANY - MOST_TESTS)


@pytest.fixture
def pooled(database: Database) -> Iterator[dict[str, str]]:
    if not isinstance(database, Postgres):
        pytest.skip("NOT RUN on SQLite: a pool stands before PostgreSQL")
    with pgbouncer(database.url) as url:
        yield {"DATABASE_URL": url}


def test_a_key_comes_and_ends_in_every_process_behind_a_pool_of_connections(
    serve, pooled: dict[str, str]
) -> None:
    variables = {**pooled, "AURORA_MASTER_KEY": MASTER_KEY}
    pair: list[Aurora] = [serve(**variables), serve(**variables)]
    for aurora in pair:
        eventually(lambda: "behind a pool of connections" in aurora.written)  # noqa: B023
    issued = pair[0].post("/api/keys", MASTER_KEY, {"name": "who"}).json()
    are_answered(pair, issued["secret"], 200)

    pair[0].post(f"/api/keys/{issued['id']}/revoke", MASTER_KEY, None)

    are_answered(pair, issued["secret"], 401)


def are_answered(pair: list[Aurora], key: str, status: int) -> None:
    eventually(lambda: [each.get("/v1/models", key).status_code for each in pair] == [status] * 2)
