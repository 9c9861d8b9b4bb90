"""Upstream bytes -> client bytes, each as it comes: untouched, or translated on the way."""

from __future__ import annotations

from gateway import dialects, headers, sse
from gateway.client import Client
from gateway.errors import UpstreamBroke, UpstreamUnreadable
from gateway.relay.delivery import UNWATCHED, Delivery, Interrupted, Pairs, Watcher
from gateway.relay.refusing import hand_on, refuse
from gateway.relay.streams import EVENT_STREAM, STREAM_HEADERS, go_on, pinging, stream
from gateway.relay.wholes import as_it_comes, translated
from gateway.upstream import Answer

__all__ = [
    "EVENT_STREAM",
    "STREAM_HEADERS",
    "UNWATCHED",
    "Delivery",
    "Interrupted",
    "Watcher",
    "hand_on",
    "pinging",
    "relay",
]

MOST_STATUS = 599
"""What is above is no status of HTTP (RFC 9110, 15), and an interim answer is none to hand on."""


async def relay(answer: Answer, client: Client, delivery: Delivery) -> None:
    """Hand the answer on. Nothing goes out before its first piece is in, so that a server which
    fails before that is still answered for with a status; but the head of a stream, and comments,
    for a client that waits long (see `waiting`).

    Where the client already has the beginning of a stream, from a server that then died (see
    `resuming`), the rest goes out behind it. Raises Interrupted where a stream that another server
    may finish breaks off.

    Raises GatewayError or Refused while the client has seen nothing (MissingRoute among them: the
    call may go another way); later a stream is ended by one error event, and any other answer by
    ConnectionAbortedError, which cuts the connection.
    """
    if client.has_begun:
        await go_on(answer, client, delivery)
        return
    if not 200 <= answer.status <= MOST_STATUS:
        raise UpstreamBroke(
            f"The provider {answer.provider.name!r} answered HTTP {answer.status}, which is no answer."
        )
    crossing = headers.to_client(answer.headers, delivery.header_rules)
    crossing.append((b"x-aurora-provider", answer.provider.name.encode()))
    crossing += dialects.headers(delivery.dialect, client.request.id)
    crossing += delivery.added
    if not 200 <= answer.status < 300:
        await refuse(answer, client, crossing, delivery)
    elif sse.is_stream(headers.first(crossing, b"content-type") or b""):
        await stream(answer, client, crossing, delivery)
    elif client.is_held:
        raise UpstreamUnreadable(
            f"The provider {answer.provider.name!r} answered a call for a stream with none."
        )
    elif delivery.translation is not None or _is_renamed(crossing, delivery):
        await translated(answer, client, crossing, delivery)
    else:
        await as_it_comes(answer, client, crossing, delivery)


def _is_renamed(crossing: Pairs, delivery: Delivery) -> bool:
    """Only JSON can say a model: sound and text go out as they come."""
    kind = headers.first(crossing, b"content-type") or b""
    return bool(delivery.said_model) and kind.partition(b";")[0].strip() == b"application/json"
