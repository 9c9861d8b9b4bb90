"""TCP options of a connection that may last for hours: a peer that vanishes is noticed.

A peer whose link goes down sends no end. The system asks a silent peer whether it is still there,
and reports the connection lost after 90 s without a word.
"""

from __future__ import annotations

import socket

IDLE_SECONDS, INTERVAL_SECONDS, PROBES = 60, 10, 3
LOST_SECONDS = IDLE_SECONDS + INTERVAL_SECONDS * PROBES
_OPTIONS = {
    "TCP_KEEPIDLE": IDLE_SECONDS,
    "TCP_KEEPINTVL": INTERVAL_SECONDS,
    "TCP_KEEPCNT": PROBES,
}


def keep_alive(connection: socket.socket) -> None:
    """Have the system probe the peer after IDLE_SECONDS of silence. Options that a system does not
    have keep its own values."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS.items():
        _set(connection, name, value)


def expect_acknowledgement(connection: socket.socket) -> None:
    """Report the connection lost where sent bytes stay unacknowledged, or the peer's window shut,
    for LOST_SECONDS: while bytes are on their way the system sends no probes."""
    _set(connection, "TCP_USER_TIMEOUT", LOST_SECONDS * 1000)


def _set(connection: socket.socket, name: str, value: int) -> None:
    option = getattr(socket, name, None)
    if option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
