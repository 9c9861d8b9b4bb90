"""A client whose link goes down says nothing more: the system is told to look after it."""

from __future__ import annotations

import socket

import pytest

from tests.aurora_site.server.apps import GET, echo
from tests.aurora_site.server.client import Client
from tests.tcp_options import KEEP_ALIVE, keep_alive_of, tcp_option


def accepted(server_thread, url: str) -> socket.socket:
    """The server's side of its only connection."""
    [connection] = server_thread.servers[url]._connected()
    return connection.transport.getHandle()


def test_a_client_that_goes_silent_is_probed(serve, server_thread):
    url = serve(echo)
    with Client(url) as client:
        assert client.send(GET).answer().status == 200
        assert keep_alive_of(accepted(server_thread, url)) == KEEP_ALIVE


@pytest.mark.parametrize(("stall_seconds", "milliseconds"), [(60, 90_000), (3600, 0)])
def test_a_client_that_vanishes_within_a_stream_is_given_up(
    serve, server_thread, stall_seconds, milliseconds
):
    """While bytes are on their way the system sends no probes. An operator who lets clients read as
    slowly as they like has not asked for another limit."""
    url = serve(echo, client_stall_seconds=stall_seconds)
    with Client(url) as client:
        assert client.send(GET).answer().status == 200
        assert tcp_option(accepted(server_thread, url), "TCP_USER_TIMEOUT") == milliseconds
