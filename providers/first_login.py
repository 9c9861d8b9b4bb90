"""The first administrator of an installation: let in by a link that dies with its first use.

The link is signed by the keyring and kept nowhere. It is good for LINK_SECONDS, and only while
there is no administrator.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core import signing
from django.db import transaction
from django.urls import reverse

from providers.seeding import wait_for_others

LINK_SECONDS = 3600
_SALT = "the first administrator"


class UsedUp(Exception):
    """The link is no longer good, or never was."""


def is_open() -> bool:
    """Whether there is no administrator yet."""
    users = get_user_model()._default_manager
    return not users.filter(is_superuser=True, is_active=True).exists()


def new_path() -> str:
    """The path of a new link."""
    return reverse("first_login", args=[signing.dumps(secrets.token_hex(8), salt=_SALT)])


def check(token: str) -> None:
    """Raises UsedUp."""
    try:
        signing.loads(token, salt=_SALT, max_age=LINK_SECONDS)
    except signing.BadSignature:
        raise UsedUp from None
    if not is_open():
        raise UsedUp


def add(token: str, name: str, password: str) -> Any:
    """The first administrator. Raises UsedUp, also where another process was first."""
    with transaction.atomic():
        wait_for_others()
        check(token)
        return get_user_model()._default_manager.create_superuser(username=name, password=password)
