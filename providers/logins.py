"""Logins to the admin: each is in the history, and one that fails is a log line, too."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from providers import login_history

MOST_NAME_CHARACTERS = 40
log = logging.getLogger("aurora.logins")


def connect() -> None:
    user_login_failed.connect(_failed, dispatch_uid="note failed logins")
    user_logged_in.connect(_logged_in, dispatch_uid="note logins")
    user_logged_out.connect(_logged_out, dispatch_uid="note logouts")


def address_of(request: HttpRequest | None) -> str:
    """The address of the connection's other end, which is a proxy's where there is one. Headers
    that name another, such as X-Forwarded-For, are anybody's to write."""
    return str(request.META.get("REMOTE_ADDR") or "") if request else ""


def is_name_of_several(name: str) -> bool:
    """Whether accounts have this name in more than one way of writing it, such as eve and EVE."""
    return User.objects.filter(username__iexact=name)[:2].count() > 1


def shown_name(name: object) -> str:
    """A name that somebody typed, cut: it may be anything."""
    return str(name or "").replace("\0", "")[:MOST_NAME_CHARACTERS]


def _logged_in(request: HttpRequest | None, user: User, **_: Any) -> None:
    name, address = user.get_username(), address_of(request)
    login_history.record(login_history.LOGGED_IN, name, address, user)


def _logged_out(request: HttpRequest | None, user: User | None, **_: Any) -> None:
    if user is not None:
        name, address = user.get_username(), address_of(request)
        login_history.record(login_history.LOGGED_OUT, name, address, user)


def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    name, address = shown_name(credentials.get("username")), address_of(request)
    log.warning("a login failed", extra={"fields": {"user": name, "client": address}})
    login_history.record(login_history.FAILED, name, address)
