"""Dials of servers that read a handshake and then reset the connection: each is counted, and each
but the first is of the retry budget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway.failover import MOST_SENT
from tests.mounted import provider
from tests.realtime_mounted import MODEL, MountedRealtime
from tests.scripted_vllm import ScriptedVllm
from tests.serving import ServerThread

TARGET = f"/v1/realtime?model={MODEL}"
HEADERS = (("Authorization", "Bearer aurora-master-secret-of-these-tests"),)


@pytest.fixture
def servers() -> Iterator[list[ScriptedVllm]]:
    """More than are asked. Each resets what it has read."""
    with ExitStack() as stack:
        servers = [stack.enter_context(ScriptedVllm()) for _ in range(MOST_SENT + 2)]
        for server in servers:
            server.will_reset_before_answer(always=True)
        yield servers


@pytest.mark.parametrize(("share", "most"), [(0.0, 1), (1.0, MOST_SENT)])
def test_servers_see_as_many_dials_as_are_told(
    server_thread: ServerThread, servers: list[ScriptedVllm], share: float, most: int
) -> None:
    mounted = MountedRealtime(server_thread, of_fleet={"repeated_share": share})
    entries = [
        provider(server.url, f"server-{number}", models=(MODEL,))
        for number, server in enumerate(servers)
    ]
    mounted.publish(*entries)
    answer = mounted.handshake(TARGET, HEADERS)
    mounted.close()

    assert answer.status == 502
    assert answer.headers["x-aurora-attempts"] == str(most)
    assert sum(len(server.received) for server in servers) == most


def test_the_only_server_is_dialled_once(server_thread: ServerThread) -> None:
    mounted = MountedRealtime(server_thread)
    with ScriptedVllm() as server:
        server.will_reset_before_answer(always=True)
        mounted.publish(provider(server.url, models=(MODEL,)))
        answer = mounted.handshake(TARGET, HEADERS)
        mounted.close()

        assert (answer.status, answer.headers["x-aurora-attempts"]) == (502, "1")
        assert len(server.received) == 1
