"""WebSockets. No route takes one yet: each is refused before it is accepted (HTTP 403)."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from gateway.client import Receive, Send


async def refuse_websocket(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close"})
