"""What a browser may load, run and send within Aurora's pages: their Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"


def _policy(directives: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


PAGE = _policy(
    {
        "default-src": "'self'",
        # django-unfold's Alpine compiles the expressions in x-data, x-on and their like with
        # `AsyncFunction`, and htmx those in hx-on with `Function`: both are an eval. Script
        # elements and onclick within a page stay forbidden: Aurora's own scripts are files.
        "script-src": "'self' 'unsafe-eval'",
        # django-unfold writes its colours into a <style>, and style attributes into its pages.
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
)
"""Of the admin and the way to it."""
REFUSAL = _policy(
    {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "'self'",  # a browser looks for an icon of the site
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
)
"""Of a page that only says why there is no other: it has a <style>, and neither scripts nor forms."""
DATA = _policy({"default-src": "'none'", "frame-ancestors": "'none'"})
"""Of what is no page."""


class ContentPolicy:
    """Middleware around all that answers, except for static files. An answer that has a policy of
    its own keeps it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self._get_response(request)
        is_page = answer.headers.get("content-type", "").startswith("text/html")
        answer.headers.setdefault(HEADER, PAGE if is_page else DATA)
        return answer
