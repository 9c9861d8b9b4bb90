"""The page behind the search of all pages, which django-unfold makes: a bounded text, and one page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from providers.admin import queries

TEXT, EXTENDED = "s", "extended"


def page(request: HttpRequest) -> HttpResponse:
    takes = {TEXT: queries.may_be_searched, EXTENDED: queries.is_flag}
    request.GET = queries.taken(request.GET, takes)  # type: ignore[assignment] # a query as any other
    search: Any = admin.site.search  # type: ignore[attr-defined] # django-unfold's site has it
    answer: HttpResponse = admin.site.admin_view(search)(request)
    return answer
