"""Who a change is recorded for."""

from __future__ import annotations

from typing import Any

from auditlog.middleware import AuditlogMiddleware
from django.http import HttpRequest


class ActorMiddleware(AuditlogMiddleware):
    """Records the user alone. The client's address and port come from headers that anybody may
    write, and what no address column holds would fail the change it was to be recorded for."""

    def get_extra_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"actor": self._get_actor(request)}
