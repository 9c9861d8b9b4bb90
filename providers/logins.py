"""Logins to the admin that fail: each is a log line, so that a guesser is seen."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest

MOST_NAME_CHARACTERS = 40
log = logging.getLogger("aurora.logins")


def connect() -> None:
    user_login_failed.connect(_failed, dispatch_uid="log failed logins")


def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    address = request.META.get("REMOTE_ADDR", "") if request else ""
    fields = {
        "user": str(credentials.get("username", ""))[:MOST_NAME_CHARACTERS],
        "client": address,
    }
    log.warning("a login failed", extra={"fields": fields})
