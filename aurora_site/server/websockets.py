"""WebSockets take Daphne's own path; only their refusals are worded as everywhere else."""

from __future__ import annotations

import logging
import uuid
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any

from daphne.http_protocol import WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol

from aurora_site.server.answers import refusal
from aurora_site.server.head import Head

if TYPE_CHECKING:
    from aurora_site.server.connection import Connection


logger = logging.getLogger("aurora.server")


class WebSocket(WebSocketProtocol):
    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: Any = None) -> None:
        extra = [(name.encode(), value.encode()) for name, value in responseHeaders or ()]
        message = "No WebSocket is served here." if code == HTTPStatus.FORBIDDEN else reason
        request_id = str(uuid.uuid4())
        fields = {"request_id": request_id, "status": code, "reason": message}
        logger.info("Refused a WebSocket: %s", message, extra={"fields": fields})
        self.sendData(refusal(code, message, request_id, extra))


def websocket_factory(server: Any) -> WebSocketFactory:
    """As Daphne's `run()` makes it."""
    factory = WebSocketFactory(server, server=server.server_name)
    factory.protocol = WebSocket
    factory.setProtocolOptions(
        autoPingTimeout=server.ping_timeout,
        allowNullOrigin=True,
        openHandshakeTimeout=server.websocket_handshake_timeout,
        maxMessagePayloadSize=server.websocket_max_message_size,
        maxFramePayloadSize=server.websocket_max_frame_size,
    )
    return factory


class Upgrade(WebRequest):
    """The request that Daphne makes a WebSocket of."""

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        self.server.protocol_disconnected(self)
        self.channel.refuse(status, body)


def upgrade(connection: Connection, block: bytes, head: Head, rest: bytes) -> None:
    """Hand the connection's transport over to a WebSocket, with what came behind the head."""
    transport = connection.transport
    request = Upgrade(connection)
    request.method, request.uri, request.clientproto = block.split(b"\r\n", 1)[0].split(b" ")
    request.path, request.content = head.raw_path, BytesIO()
    for name, value in head.headers:
        request.requestHeaders.addRawHeader(name, value)
    request.process()
    if rest and transport.protocol is not connection:
        transport.protocol.dataReceived(rest)
