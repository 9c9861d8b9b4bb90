"""A change made through the API: all of it or nothing, and recorded for who made it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from auditlog.context import auditlog_value, set_extra_data
from rest_framework.request import Request

from providers.models import ApiKey
from providers.transactions import edit


@contextmanager
def change(request: Request) -> Iterator[None]:
    with edit():
        if isinstance(request.auth, ApiKey):
            with _made_by(f"API key {request.auth}"):
                yield
        else:  # by the session's user, as the middleware says
            yield


@contextmanager
def _made_by(who: str) -> Iterator[None]:
    """Instead of the middleware's user, who may be logged in beside the key.

    auditlog's contexts do not nest: without the token, the middleware's would never be taken down.
    """
    token = auditlog_value.set({})
    try:
        with set_extra_data({"additional_data": {"by": who}}):
            yield
    finally:
        auditlog_value.reset(token)
