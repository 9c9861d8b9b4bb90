"""`python -m aurora_site.health`: whether the Aurora of this environment lives, by its `/health`.

The container's health check. It starts no Django, so that it costs little every ten seconds.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from aurora_site import environment, options

ADDRESS = ("AURORA_HOST", "AURORA_PORT")
SECONDS = 4.0
FOLDER = Path(__file__).resolve().parent.parent
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - listening everywhere is asked here
REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
WELL = b"HTTP/1.1 200 "


def main(process: Mapping[str, str], folder: Path = FOLDER) -> str:
    """What is wrong, "" if it lives."""
    try:
        values = environment.load(process, folder, ADDRESS, with_providers=False).values
        host, port = (options.read_one(name, values) for name in ADDRESS)
    except (environment.BadFile, options.BadOption) as error:
        return str(error)
    return _problem(LOOPBACK.get(host, host), port)


def _problem(host: str, port: int) -> str:
    try:
        with socket.create_connection((host, port), SECONDS) as connection:
            connection.sendall(REQUEST)
            answer = connection.makefile("rb").read(len(WELL))
    except OSError as error:
        return f"{host}, port {port}: {error.strerror or error}"
    return "" if answer == WELL else f"{host}, port {port}: /health is not answered with 200"


if __name__ == "__main__":
    problem = main(os.environ)
    sys.exit(f"aurora: {problem}" if problem else 0)
