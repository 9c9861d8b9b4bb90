"""Who calls the management API: a master key, or (the framework's own part) an admin's session."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from providers import secrets
from providers.models import ApiKey

USE_NOTED_EVERY = timedelta(seconds=5)


class MasterKey(BaseAuthentication):
    """`Authorization: Bearer` or `x-api-key`, by the data path's rules. `request.auth` is the key.

    It is looked up by its digest. A refused key is never taken for a session's request.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        secret = _secret(request)
        if secret is None:
            return None
        key = None
        if 0 < len(secret) <= secrets.MOST_CALLER_KEY_CHARACTERS:
            key = ApiKey.objects.usable().holding(secret)
        if key is None:
            raise AuthenticationFailed("This key is not known here, or no longer valid.")
        _note_use(key)
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="aurora"'


def _secret(request: Request) -> str | None:
    """The secret that was sent; None if none was, as by a browser."""
    authorization = request.META.get("HTTP_AUTHORIZATION")
    if authorization is None:
        secret: str | None = request.META.get("HTTP_X_API_KEY")
        return secret and secret.strip()
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationFailed("Only `Authorization: Bearer <key>` is understood.")
    return secret.strip()


def _note_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used is None or now - key.last_used > USE_NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used=now)


class MasterKeyScheme(OpenApiAuthenticationExtension):
    """How the schema names it."""

    target_class = "providers.api.authentication.MasterKey"
    name = "masterKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
