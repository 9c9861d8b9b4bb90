"""What the tests of the admin's pages share: addresses, rows, users, and a form's values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from providers.models import ApiKey, Discovery, Health, Process, Provider

UPSTREAM_KEY = "upstream-secret-0123456789"
HOSTILE = "<script>alert(1)</script>"
LIST = "/admin/providers/provider/"
KEYS = "/admin/providers/apikey/"
HISTORY = "/admin/auditlog/logentry/"


def page(row: Provider | ApiKey, view: str = "change") -> str:
    return reverse(f"admin:providers_{row._meta.model_name}_{view}", args=[row.pk])


def provider(name: str = "vllm", key: str = "", **fields: Any) -> Provider:
    made = Provider(**{"name": name, "base_url": "http://gpu-1:8000/v1", **fields})
    made.api_key = key
    made.save()
    return made


def found(provider: Provider, *ids: str, error: str = "", **fields: Any) -> Discovery:
    """What discovery found of `provider`, a minute and more ago."""
    then = timezone.now() - timedelta(seconds=100)
    values = {"cards": [{"id": each} for each in ids], "asked": then, "answered": then}
    return Discovery.objects.create(provider=provider, error=error, **(values | fields))


def probed(
    provider: Provider,
    state: str = "healthy",
    reason: str = "",
    *,
    seconds_ago: float = 1,
    **fields: Any,
) -> Health:
    """What the last probe found of `provider`."""
    checked = timezone.now() - timedelta(seconds=seconds_ago)
    values = {"checked": checked, "since": checked - timedelta(minutes=12), "load_known": True}
    values |= fields
    return Health.objects.create(provider=provider, state=state, reason=reason, **values)


def report(provider: Provider, **members: Any) -> dict[str, Any]:
    """What a process reports of `provider`."""
    held = {"in_flight": 0, "waiting": 0, "state": "closed", "reason": ""}
    return {str(provider.pk): held | members}


def process(*reported: dict[str, Any], seconds_ago: float = 1, reports: Any = None) -> Process:
    """A process that wrote these reports a moment ago."""
    together = {name: held for one in reported for name, held in one.items()}
    written = timezone.now() - timedelta(seconds=seconds_ago)
    return Process.objects.create(written=written, reports=together if reports is None else reports)


def values(**changes: Any) -> dict[str, Any]:
    """What the provider form sends, untouched but for `changes`. None leaves a field out."""
    untouched = {
        "name": "vllm",
        "base_url": "http://gpu-1:8000/v1",
        "new_api_key": "",
        "enabled": "on",
        "models_mode": "discover",
        "model_ids": "",
        "passthrough": "inference",
        "translation": "auto",
        "weight": "1.0",
        "max_concurrency": "",
        "connect_seconds": "5.0",
        "first_byte_seconds": "600.0",
        "idle_seconds": "300.0",
    }
    return {name: value for name, value in (untouched | changes).items() if value is not None}


def client_with(*permissions: str) -> Client:
    """The browser of a member of staff who has these permissions and no others."""
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def text(response: Any) -> str:
    return str(response.content.decode())


def said(response: Any) -> str:
    """The messages on the page that a followed redirect led to."""
    return " ".join(str(message) for message in response.context["messages"])
