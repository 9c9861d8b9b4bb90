"""The data path as an ASGI application: one call in, one answer out, one log line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from typing import Any
from uuid import UUID

from gateway import dialects, endpoints, hops
from gateway.abilities import Abilities
from gateway.client import Client, Limits, Receive, Request, Send
from gateway.dialects import Dialect
from gateway.endpoints import Endpoint
from gateway.errors import ClientGone, GatewayError, Stopping
from gateway.fleet import Fleet
from gateway.header_names import NO_RULES, Rules
from gateway.missing_routes import MissingRoutes
from gateway.offload import Offload
from gateway.pdf import PdfReader
from gateway.records import Record
from gateway.routing import Pools, Settings
from gateway.runs import MOST_RUNS, Pace, Runs
from gateway.standing import Standing
from gateway.state.store import Store
from gateway.unpacking import Unpacker
from gateway.upstream import Door
from gateway.views import VIEWS, Exchange
from providers.catalog import Catalog

STOPPING = "Aurora is being stopped, and could not wait for the end of this call."
log = logging.getLogger("aurora.gateway")


class Gateway:
    """Serves `endpoints.TABLE`. It belongs to one event loop."""

    def __init__(
        self,
        catalog: Catalog,
        door: Door,
        limits: Limits,
        note_key_use: Callable[[UUID], None],
        store: Store,
        *,
        fleet: Fleet,
        background_responses: int = MOST_RUNS,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        pools: Settings = Settings(),  # noqa: B008 - frozen
        ask_anew: Callable[[UUID], None] = lambda _: None,
        header_rules: Rules = NO_RULES,
        installation: tuple[str, ...] = (),
    ) -> None:
        """Without `installation`, its ids, no loop through other Auroras is noticed."""
        self._catalog, self._door, self._limits = catalog, door, limits
        self._note_key_use, self._ask_anew = note_key_use, ask_anew
        self._header_rules, self._installation = header_rules, installation
        self._store, self._missing = store, MissingRoutes()
        self._pools = Pools(pools, self._missing)
        self.fleet = fleet
        self._offload, self._unpacker = Offload(), Unpacker()
        self._standing = Standing(catalog.current)
        self._runs = Runs(
            store,
            background_responses,
            pace=pace,
            offload=self._offload,
            memory=limits.memory,
            stands=self._standing.stands,
        )
        self._pdfs, self._abilities = PdfReader(offload=self._offload), Abilities()
        self._is_stopping = False

    def start(self) -> None:
        """Begin what runs beside the calls, on the running loop. Once more does nothing."""
        self._store.start()

    def leave(self) -> None:
        """Say at /ready that this process is stopping. All else goes on."""
        self._is_stopping = True

    async def begin_to_stop(self) -> None:
        """The same, and stop the runs; calls go on."""
        self.leave()
        await self.stop_runs()

    async def stop_runs(self) -> None:
        """Fail what is generated in the background, with a reason; nothing more is begun."""
        await self._runs.stop()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request = Request.of(scope)
        until_gone = scope.get("extensions", {}).get("aurora.gone")
        client = Client(request, receive, send, self._limits, until_gone)
        record = Record(request.method, request.id, request.client)
        try:
            await self._found(client, record)
        finally:
            client.end_waiting()
            client.charge.free()
            record.status, record.sent_bytes = client.status, client.sent_bytes
            record.write()

    async def _found(self, client: Client, record: Record) -> None:
        request, by_route = client.request, Dialect.OPENAI
        try:
            rows = endpoints.at(request.path)
            record.path, by_route = rows[0].template, rows[0].dialect
            row = endpoints.among(rows, request.method)
        except GatewayError as error:
            record.reason = error.reason
            await client.refuse(error, dialects.spoken(by_route, request.headers))
        else:
            dialect = dialects.spoken(by_route, request.headers)
            await self._answered(self._exchange(client, row, dialect, record))

    async def _answered(self, exchange: Exchange) -> None:
        """Every way a call may end passes here."""
        client, record = exchange.client, exchange.record
        try:
            hops.check(client.request.headers, self._installation)
            await VIEWS[exchange.endpoint.action](exchange)
        except GatewayError as error:
            record.reason = error.reason
            if not client.has_begun:
                error.keeping([*error.kept, *record.told_attempts])
                await client.refuse(error, exchange.dialect)
        except ClientGone as error:
            record.reason = str(error)
        except ConnectionAbortedError as error:
            record.reason = f"broken off: {error}"
            raise
        except asyncio.CancelledError:
            record.reason = "cancelled: Aurora is stopping"
            await client.break_off(Stopping(STOPPING), exchange.dialect)
            raise
        except Exception:  # the caller must get an answer in the one shape, the log the traceback
            log.exception("call %s failed within Aurora", client.request.id)
            record.reason = "internal error"
            if client.has_begun:
                raise
            failed = GatewayError("Aurora failed to handle this call.")
            await client.refuse(failed, exchange.dialect)

    def _exchange(
        self, client: Client, endpoint: Endpoint, dialect: Dialect, record: Record
    ) -> Exchange:
        return Exchange(
            client=client,
            endpoint=endpoint,
            dialect=dialect,
            snapshot=self._catalog.current(),
            door=self._door,
            record=record,
            note_key_use=self._note_key_use,
            missing=self._missing,
            pools=self._pools,
            fleet=self.fleet,
            store=self._store,
            runs=self._runs,
            ask_anew=self._ask_anew,
            pdfs=self._pdfs,
            abilities=self._abilities,
            unpacker=self._unpacker,
            header_rules=self._header_rules,
            offload=self._offload,
            installation=self._installation,
            check_key=self._standing.check_of(client.request.headers),
            standing=self._standing,
            is_stopping=self._is_stopping,
        )
