"""What the system is told of a connection whose peer may vanish."""

from __future__ import annotations

import socket
from typing import Any

from gateway.upstream import Door

KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


def tcp_option(connection: socket.socket, name: str) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))


def keep_alive_of(connection: socket.socket) -> dict[str, int]:
    """Empty where it is off."""
    if not connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
        return {}
    return {name: tcp_option(connection, name) for name in KEEP_ALIVE}


def to_server(door: Door) -> socket.socket:
    """The only connection to a vLLM server that is in use."""
    session: Any = door._transport._session
    [protocol] = session.connector._acquired
    connection: socket.socket = protocol.transport.get_extra_info("socket")
    return connection
