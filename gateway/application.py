"""The data path as an ASGI application: one call in, one answer out, one log line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from typing import Any
from uuid import UUID

from gateway.client import Client, Limits, Receive, Request, Send
from gateway.endpoints import Endpoint, find
from gateway.errors import ClientGone, GatewayError
from gateway.records import Record
from gateway.upstream import Door
from gateway.views import VIEWS, Exchange
from providers.catalog import Catalog

log = logging.getLogger("aurora.gateway")


class Gateway:
    """Serves `endpoints.TABLE`. It belongs to one event loop."""

    def __init__(
        self,
        catalog: Catalog,
        door: Door,
        limits: Limits,
        note_key_use: Callable[[UUID], None],
    ) -> None:
        self._catalog, self._door, self._limits = catalog, door, limits
        self._note_key_use = note_key_use

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request = Request.of(scope)
        until_gone = scope.get("extensions", {}).get("aurora.gone")
        client = Client(request, receive, send, self._limits, until_gone)
        record = Record(request.method, request.id)
        try:
            await self._answered(client, record)
        finally:
            record.status, record.sent_bytes = client.status, client.sent_bytes
            record.write()

    async def _answered(self, client: Client, record: Record) -> None:
        """Every way a call may end passes here."""
        try:
            endpoint = find(client.request.path)
            record.path = endpoint.path
            endpoint.check(client.request.method)
            await VIEWS[endpoint.action](self._exchange(client, endpoint, record))
        except GatewayError as error:
            record.reason = error.reason
            if not client.status:
                await client.refuse(error)
        except ClientGone as error:
            record.reason = str(error)
        except ConnectionAbortedError as error:
            record.reason = f"broken off: {error}"
            raise
        except asyncio.CancelledError:
            record.reason = "cancelled: Aurora is stopping"
            raise
        except Exception:  # the caller must get an answer in the one shape, the log the traceback
            log.exception("call %s failed within Aurora", client.request.id)
            record.reason = "internal error"
            if client.status:
                raise
            await client.refuse(GatewayError("Aurora failed to handle this call."))

    def _exchange(self, client: Client, endpoint: Endpoint, record: Record) -> Exchange:
        snapshot = self._catalog.current()
        return Exchange(client, endpoint, snapshot, self._door, record, self._note_key_use)
