"""Who calls the management API: a key, or (the framework's own part) an admin's session."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from providers import key_headers
from providers.models import ApiKey

USE_NOTED_EVERY = timedelta(seconds=5)


class Key(BaseAuthentication):
    """A key in any of `key_headers`, of any kind. `request.auth` is the key: of several the first
    that is for this API.

    It is looked up by its digest. A refused key is never taken for a session's request.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        headers = [
            (name.lower().encode(), value.encode("latin-1", "replace"))
            for name, value in request.headers.items()
        ]
        if not key_headers.is_shown(headers):
            return None  # as a browser's
        shown = key_headers.secrets(headers)
        found = [key for each in shown if (key := ApiKey.objects.usable().holding(each))]
        if found:
            key = next((key for key in found if key.may_manage), found[0])
            _note_use(key)
            return AnonymousUser(), key
        raise AuthenticationFailed(key_headers.UNKNOWN if shown else key_headers.why_none(headers))

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="aurora"'


def _note_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used is None or now - key.last_used > USE_NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used=now)


class KeyScheme(OpenApiAuthenticationExtension):
    """How the schema names it."""

    target_class = "providers.api.authentication.Key"
    name = "masterKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
