"""Whose hand it is that does something to a key over the management API."""

from __future__ import annotations

from rest_framework.request import Request

from providers import key_rights
from providers.key_rights import Rights
from providers.models import ApiKey


def rights(request: Request) -> Rights:
    """What the key, or the session's user, of a request may do to keys."""
    key = request.auth
    if isinstance(key, ApiKey):
        return key_rights.of_key(key.pk, key.kind, key.expires)
    return key_rights.of_person(request.user.has_perm)
