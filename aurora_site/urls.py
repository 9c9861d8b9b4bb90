"""What Django serves: the admin, the way to it, and the management API. The gateway serves the rest."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView

from aurora_site.outages import Unavailable, failure_behind
from gateway import errors

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/", include("providers.api.urls")),
]


def _json(error: errors.GatewayError, status: int) -> HttpResponse:
    return HttpResponse(errors.shape(error), status=status, content_type="application/json")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Such as a Host header that AURORA_PUBLIC_URL does not allow."""
    if failure := failure_behind(exception):
        return Unavailable(failure)
    return _json(errors.InvalidRequest("This request cannot be served."), 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _json(errors.NotPermitted("This is not permitted."), 403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _json(errors.NotPermitted(f"This form cannot be taken; load it anew. {reason}"), 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _json(errors.UnknownPath(f"There is nothing at {request.path[:200]}."), 404)


def server_error(request: HttpRequest, *arguments: Any) -> HttpResponse:
    """Django calls it while it handles the exception."""
    if failure := failure_behind(sys.exception()):
        return Unavailable(failure)
    return _json(
        errors.GatewayError("Aurora failed to handle this request; its log says why."), 500
    )


handler400, handler403, handler404, handler500 = bad_request, forbidden, not_found, server_error
