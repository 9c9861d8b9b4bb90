"""A real PgBouncer before the suite's PostgreSQL, in transaction mode: a session of a client's is
another connection of the server's for each transaction."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from tests.process.running import Running
from tests.processes import eventually, free_port

NOBODY = 65534
"""PgBouncer refuses to run as root."""
CONFIGURATION = """
[databases]
* = host={host} port={port} {login}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 200
"""


def executable() -> str:
    """Without PgBouncer the test is skipped, or fails in the gate."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found:
        return found
    reason = "NOT RUN: a start through a pool needs PgBouncer (Debian: apt install pgbouncer)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def pgbouncer(database_url: str) -> Iterator[str]:
    """The URL of the same database, through the pool."""
    parts, listen = urlsplit(database_url), free_port()
    login = f"user={parts.username or 'postgres'}"
    if parts.password:
        login += f" password={unquote(parts.password)}"
    values = {"host": parts.hostname, "port": parts.port or 5432, "login": login, "listen": listen}
    url = f"postgres://aurora:unused@127.0.0.1:{listen}{parts.path}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(**values))
        command = [executable(), str(file)]
        if os.getuid() == 0:
            os.chown(folder, NOBODY, -1)
            file.chmod(0o644)
            command = ["setpriv", f"--reuid={NOBODY}", "--clear-groups", *command]
        with Running(command, cwd=Path("/"), settings={}) as running:
            eventually(lambda: running.ended or _answers(url))
            assert not running.ended, running.written
            yield url


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
