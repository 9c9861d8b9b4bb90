"""Whether an address can be listened on, before anything else is done for a server there."""

from __future__ import annotations

import socket


def check(host: str, port: int) -> None:
    """Raises OSError where no socket can be bound: the name or address is none of this machine's,
    or another program listens there."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
