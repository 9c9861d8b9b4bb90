"""What runs beside the calls, on a server with ASGI's lifespan."""

from __future__ import annotations

import asyncio
from typing import Any

from aurora_site.lifespan import Lifespan


def test_it_begins_before_the_first_call_and_ends_in_order_after_the_last() -> None:
    done: list[str] = []

    async def stop_runs() -> None:
        done.append("runs stopped")

    async def stop_store() -> bool:
        done.append("store stopped")
        return True

    async def receive() -> dict[str, Any]:
        return {"type": ("lifespan.startup", "lifespan.shutdown")["started" in done]}

    async def send(message: Any) -> None:
        done.append(message["type"])

    lifespan = Lifespan(lambda: done.append("started"), stop_runs, stop_store)
    asyncio.run(lifespan({"type": "lifespan"}, receive, send))

    assert done == [
        "started",
        "lifespan.startup.complete",
        "runs stopped",
        "store stopped",
        "lifespan.shutdown.complete",
    ]
