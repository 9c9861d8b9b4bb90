"""What Django serves: the admin, the way to it, and the management API. The gateway serves the rest."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView

from aurora_site import pages
from aurora_site.outages import Unavailable
from gateway import errors
from providers.admin import first_login, login, people, search
from providers.database_faults import first_fault

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/first-login/<str:token>/", first_login.page, name="first_login"),
    path("admin/login/", login.page),
    path("admin/password_change/", people.own_password),
    path("admin/search/", search.page),
    path("admin/", admin.site.urls),
    path("api/", include("providers.api.urls")),
]


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Such as a Host header that is no host."""
    if found := first_fault(exception):
        return Unavailable(request, *found)
    return pages.Refusal(request, errors.InvalidRequest("This request cannot be served."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return pages.Refusal(request, errors.NotPermitted("Your account may not do this."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return pages.Refusal(request, errors.UnknownPath(f"There is nothing at {request.path[:200]}."))


def server_error(request: HttpRequest, *arguments: Any) -> HttpResponse:
    """Django calls it while it handles the exception."""
    if found := first_fault(sys.exception()):
        return Unavailable(request, *found)
    return pages.Refusal(
        request, errors.GatewayError("Aurora failed to handle this request; its log says why.")
    )


handler400, handler403, handler404, handler500 = bad_request, forbidden, not_found, server_error
