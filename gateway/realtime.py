"""What a WebSocket's handshake asks for, and how sessions end. Pure.

The API is OpenAI's: the model stands in the query, and browsers, which cannot set headers, send
their key as a subprotocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gateway import headers as policy
from gateway import queries
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    MemoryFull,
    MissingRoute,
    NotPermitted,
    Unauthorized,
    UpstreamError,
    UpstreamRefusedKey,
)
from gateway.refusals import Reworded

PATH = "/v1/realtime"
CREDENTIAL = "openai-insecure-api-key."
SPOKEN = "realtime"
"""What is chosen for a client that offers it, where the server chooses nothing: browsers give up a
connection on which none of their subprotocols was chosen."""
MOST_REASON_BYTES = 123  # RFC 6455, 5.5
NORMAL, GOING_AWAY, NO_CODE, ABNORMAL = 1000, 1001, 1005, 1006
POLICY, TOO_LARGE, INTERNAL_ERROR, TRY_AGAIN_LATER = 1008, 1009, 1011, 1013
ENDS_WELL = frozenset({NORMAL, GOING_AWAY, NO_CODE})
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]{1,256}")


@dataclass(frozen=True, slots=True)
class Closed:
    """How a side ended: the code and reason of its Close frame, or NO_CODE or ABNORMAL."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client asks for. The key is among `headers` only, wherever it came from."""

    path: str
    raw_path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    subprotocols: tuple[str, ...]
    """Those that may cross."""
    id: str

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> Handshake:
        """Of an ASGI WebSocket scope."""
        given = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        offered = list(scope.get("subprotocols") or ())
        return cls(
            path=scope["path"],
            raw_path=scope.get("raw_path") or quote(scope["path"]).encode(),
            query=scope["query_string"],
            headers=_with_key(given, offered),
            subprotocols=tuple(
                each for each in offered if not _is_credential(each) and _TOKEN.fullmatch(each)
            ),
            id=policy.request_id(given),
        )

    @property
    def model(self) -> str | None:
        """As the query names it."""
        return queries.model_named(self.query)

    def selector(self) -> str:
        """Raises InvalidRequest where no model is named."""
        return queries.checked_selector(self.model)

    def query_for(self, upstream_model: str) -> bytes:
        """The query for a server that knows the model so; each other parameter as it came."""
        return queries.with_model(self.query, upstream_model)

    def chosen(self, upstream_choice: str | None) -> str | None:
        """The subprotocol that the client is told."""
        if upstream_choice in self.subprotocols:
            return upstream_choice
        return SPOKEN if SPOKEN in self.subprotocols else None


def _is_credential(subprotocol: str) -> bool:
    return subprotocol.lower().startswith(CREDENTIAL)


def _with_key(
    headers: list[tuple[bytes, bytes]], offered: Iterable[str]
) -> list[tuple[bytes, bytes]]:
    """The headers, with the key of the subprotocol behind theirs, and without the offer."""
    kept = [pair for pair in headers if pair[0] != b"sec-websocket-protocol"]
    keys = [each[len(CREDENTIAL) :] for each in offered if _is_credential(each)]
    return [*kept, *((b"authorization", b"Bearer " + key.encode("latin-1")) for key in keys[:1])]


def refused(status: int, *, has_body: bool, provider: str, model: str) -> GatewayError:
    """What the client is told of a server that answered its handshake with an HTTP status.

    vLLM refuses a WebSocket that it has no route for with a bare 403, and a key with 401.
    """
    if status == 404 or (status == 403 and not has_body):
        which = f"The model {model!r} does not serve" if model else "There is no"
        return MissingRoute(
            f"{which} {PATH}: its vLLM server ({provider!r}) takes no WebSocket there.",
            param="model" if model else None,
        )
    if status in (401, 403):
        return UpstreamRefusedKey(f"The provider {provider!r} refuses the key Aurora has for it.")
    if status < 400:
        return UpstreamError(
            f"The provider {provider!r} answered HTTP {status} instead of opening a WebSocket."
        )
    return Reworded(status, f"The provider {provider!r} answered HTTP {status}.")


def to_upstream(closed: Closed) -> Closed:
    """The client's end as the server is told of it: one that just breaks off is a client leaving."""
    return Closed(GOING_AWAY) if closed.code == ABNORMAL else _sendable(closed)


def to_client(closed: Closed) -> Closed:
    return Closed(INTERNAL_ERROR) if closed.code == ABNORMAL else _sendable(closed)


def after(error: GatewayError) -> Closed:
    """How a session ends that `error` ends."""
    codes = {MemoryFull: TRY_AGAIN_LATER, BodyTooLarge: TOO_LARGE}
    is_of_key = isinstance(error, Unauthorized | NotPermitted)
    code = POLICY if is_of_key else codes.get(type(error), INTERNAL_ERROR)
    return Closed(code, str(error).encode()[:MOST_REASON_BYTES].decode(errors="ignore"))


def _sendable(closed: Closed) -> Closed:
    """Codes that no Close frame may carry (RFC 6455, 7.4) are not sent on."""
    may_be_sent = closed.code in range(1000, 5000) and closed.code not in (1004, ABNORMAL, 1015)
    return closed if may_be_sent else Closed(INTERNAL_ERROR)
