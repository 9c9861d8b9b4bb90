"""A real nginx in front of a server, for the length of one test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process.running import Running
from tests.processes import eventually, free_port
from tests.raw_http import RawClient, request_bytes

DEFAULTS = "server { listen 80; location / { proxy_pass http://127.0.0.1:8080; } }"
"""What most people write first."""
MAIN = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {servers}
}}
"""


def executable() -> str:
    """Without nginx the test is skipped, or fails where the browser's tests are required."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found:
        return found
    reason = "NOT RUN: Aurora behind a proxy needs nginx (Debian: apt install nginx)"
    if os.environ.get("AURORA_TEST_BROWSER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def nginx(folder: Path, servers: str, upstream_port: int) -> Iterator[int]:
    """The port at which nginx serves `servers`, whose ports 80 and 8080 are replaced."""
    port = free_port()
    replaced = servers.replace("listen 80;", f"listen 127.0.0.1:{port};")
    replaced = replaced.replace(":8080;", f":{upstream_port};")
    (folder / "nginx.conf").write_text(MAIN.format(servers=replaced))
    command = [executable(), "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"]
    with Running(command, cwd=folder, settings={}) as running:
        eventually(lambda: running.ended or _answers(port))
        assert not running.ended, running.written
        yield port


def _answers(port: int) -> bool:
    try:
        with RawClient("127.0.0.1", port) as client:
            client.send(request_bytes("GET", "/health"))
            return client.read_answer().status == 200
    except OSError:
        return False
