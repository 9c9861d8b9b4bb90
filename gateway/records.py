"""One log line a call: what was asked, where it went, how it ended. No bodies, no secrets."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from http import HTTPStatus

log = logging.getLogger("aurora.calls")
ATTEMPTS = b"x-aurora-attempts"


@dataclass(slots=True)
class Record:
    """Filled in by `application` and `views` along the way, read by nobody but `write`."""

    method: str
    request_id: str
    client: str = ""
    """The address that the call came from: a proxy's, where one is between."""
    path: str = "unmatched"
    """The endpoint's template, never the client's own text: so lines can be grouped."""
    key: str = ""
    provider: str = ""
    model: str = ""
    attempts: int = 0
    """How many times the call was sent to a server."""
    status: int = 0
    """0: the gateway gave no answer; the client left, or the server beneath refused the rest."""
    sent_bytes: int = 0
    reason: str = ""
    """Why the call did not end well; empty if it did."""
    _began: float = field(default_factory=time.perf_counter)
    _sent_upstream: float = 0.0
    _upstream_ended: float = 0.0

    @property
    def told_attempts(self) -> list[tuple[bytes, bytes]]:
        """The header of the answer that says so; none where no server was tried."""
        return [(ATTEMPTS, str(self.attempts).encode())] if self.attempts else []

    def upstream_begins(self) -> None:
        self._sent_upstream = time.perf_counter()

    def upstream_ends(self) -> None:
        self._upstream_ended = time.perf_counter()

    def write(self) -> None:
        upstream = self._upstream_ended - self._sent_upstream if self._upstream_ended else 0.0
        fields = {
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "provider": self.provider,
            "model": self.model,
            "attempts": self.attempts,
            "key": self.key,
            "client": self.client,
            "ms": round((time.perf_counter() - self._began) * 1000, 2),
            "ms_upstream": round(upstream * 1000, 2),
            "bytes": self.sent_bytes,
        }
        if self.reason:
            fields["reason"] = self.reason
        failed = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        log.log(logging.WARNING if failed else logging.INFO, "call", extra={"fields": fields})
