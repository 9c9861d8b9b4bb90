"""The client leaves while the server upstream takes nothing of what it sends.

It leaves by a reset: behind more unsent body than the sockets hold, the news of an orderly close
cannot arrive at all before the body has been taken.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from tests.gateway.raw_upstream import RawUpstream
from tests.mounted import MASTER_KEY, NO_HURRY, provider

MIB = 2**20


@pytest.mark.parametrize("limits", [replace(NO_HURRY, body_bytes=64 * MIB)])
def test_its_leaving_is_noticed_behind_the_body_that_nobody_takes(gateway):
    with RawUpstream() as upstream:
        gateway.publish(provider(upstream.url))
        client = gateway.connect(timeout_seconds=0.3)
        client.send(
            f"POST /p/alpha/tokenize HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {MASTER_KEY}\r\n"
            f"Content-Length: {64 * MIB}\r\n\r\n".encode()
        )
        with contextlib.suppress(TimeoutError):
            for _ in range(64 * 16):
                client.send(b"x" * 65_536)
        assert upstream.read_head()
        client.reset()

        assert gateway.record()["reason"].startswith("the client left")
