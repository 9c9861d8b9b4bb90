"""Forms that another site could have sent: what is taken, and how a refusal is told."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import (
    REASON_BAD_ORIGIN,
    REASON_NO_CSRF_COOKIE,
    CsrfViewMiddleware,
)

from aurora_site import pages
from gateway.errors import NotPermitted

_BAD_ORIGIN = REASON_BAD_ORIGIN.partition("%s")[0]
log = logging.getLogger("aurora.admin")


class SameOriginForms(CsrfViewMiddleware):
    """Django's check, which also believes a browser that itself says the form is of the same
    origin (Fetch Metadata: no page can set this header). A proxy that passes another Host on, as
    nginx does by default, then does not lock everybody out. The form's token is asked for as ever.
    """

    def _origin_verified(self, request: HttpRequest) -> bool:
        if request.headers.get("sec-fetch-site") == "same-origin":
            return True
        return bool(super()._origin_verified(request))  # type: ignore[misc] # untyped, private


def refuse(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin", "")
    fields = {"host": host[:200], "origin": origin[:200], "path": _route(request)}
    log.warning("refused a form: %s", reason, extra={"fields": fields})
    return pages.Refusal(request, NotPermitted(_explained(reason, host, origin)))


def _route(request: HttpRequest) -> str:
    """The path without what stands in it: the link of a first login is a secret."""
    return f"/{request.resolver_match.route}" if request.resolver_match else ""


def _explained(reason: str, host: str, origin: str) -> str:
    if reason.startswith(_BAD_ORIGIN):
        return (
            f"The browser shows this page at {origin[:200]}, but Aurora was asked for the host"
            f" {host[:200]}. Let the proxy before Aurora pass on the browser's Host header (nginx:"
            f" proxy_set_header Host $http_host), or set AURORA_PUBLIC_URL={origin[:200]}."
        )
    if reason == REASON_NO_CSRF_COOKIE:
        return (
            "The browser sent no cookie with this form. Allow cookies for this address; where"
            " AURORA_PUBLIC_URL begins with https, open the admin by https."
        )
    return "This form has expired. Reload the page."
