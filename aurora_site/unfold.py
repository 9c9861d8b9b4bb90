"""The admin's look and its sidebar: django-unfold's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy

TEAL = {
    "50": "oklch(98.4% .014 180.72)",
    "100": "oklch(95.3% .051 180.801)",
    "200": "oklch(91% .096 180.426)",
    "300": "oklch(85.5% .138 181.071)",
    "400": "oklch(77.7% .152 181.912)",
    "500": "oklch(60% .118 184.704)",
    "600": "oklch(51.1% .096 186.391)",
    "700": "oklch(43.7% .078 188.216)",
    "800": "oklch(38.6% .063 188.416)",
    "900": "oklch(33% .055 190)",
    "950": "oklch(27.7% .046 192.524)",
}
FAVICON = (
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>"
    "<rect width='32' height='32' rx='7' fill='%230f766e'/>"
    "<path d='M6 21c4-12 6-12 10-5s6 6 10-5' fill='none' stroke='white' stroke-width='3'"
    " stroke-linecap='round'/></svg>"
)


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def _entry(title: str, icon: str, view: str, permission: str) -> dict[str, Any]:
    link = reverse_lazy(f"admin:{view}")
    return {"title": title, "icon": icon, "link": link, "permission": _may(permission)}


UNFOLD = {
    "SITE_TITLE": "Aurora",
    "SITE_HEADER": "Aurora",
    "SITE_SUBHEADER": "Gateway for vLLM servers",
    "SITE_SYMBOL": "waves",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": FAVICON}],
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {"primary": TEAL},
    "DASHBOARD_CALLBACK": "providers.admin.dashboard.context",
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    {"title": "Overview", "icon": "home", "link": reverse_lazy("admin:index")},
                    _entry(
                        "Providers",
                        "dns",
                        "providers_provider_changelist",
                        "providers.view_provider",
                    ),
                    _entry(
                        "Aliases",
                        "alt_route",
                        "providers_alias_changelist",
                        "providers.view_alias",
                    ),
                    _entry(
                        "API keys", "key", "providers_apikey_changelist", "providers.view_apikey"
                    ),
                    _entry(
                        "History",
                        "history",
                        "auditlog_logentry_changelist",
                        "auditlog.view_logentry",
                    ),
                ]
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _entry("Users", "person", "auth_user_changelist", "auth.view_user"),
                    _entry("Groups", "group", "auth_group_changelist", "auth.view_group"),
                ],
            },
        ]
    },
}
