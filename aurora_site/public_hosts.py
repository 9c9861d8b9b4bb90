"""Pages answer under the hosts of AURORA_PUBLIC_URL alone, by https where that says so.

What a key opens, the management API, answers under any host and is never redirected: it is called
by names that only the inside of a cluster knows, and a key is not stolen by a name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect

from aurora_site import pages, public
from gateway.errors import InvalidRequest

MOST_NAMED_HOSTS = 100
"""So many wrong hosts are named in the log, each once: scanners send any number."""
log = logging.getLogger("aurora.admin")


class PublicHosts:
    """Middleware, before anything that looks at the host."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._named: set[str] = set()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        urls = settings.PUBLIC_URLS
        if not urls or request.path_info.startswith("/api/"):
            return self._get_response(request)
        given = request.headers.get("host", "")
        named = [url for url in urls if url.host == public.host_of(given)]
        if not named:
            return self._refuse(request, given)
        if all(url.is_https for url in named) and _came_by_http(request):
            return HttpResponsePermanentRedirect(f"{named[0]}{request.get_full_path()}")
        return self._get_response(request)

    def _refuse(self, request: HttpRequest, host: str) -> HttpResponse:
        allowed = ", ".join(map(str, settings.PUBLIC_URLS))
        error = InvalidRequest(
            f"The admin does not answer under the host {host[:200]!r}: AURORA_PUBLIC_URL allows"
            f" {allowed}. Open it there, add this address to the variable, or let the proxy before"
            " Aurora pass on the browser's Host header."
        )
        if host not in self._named and len(self._named) < MOST_NAMED_HOSTS:
            self._named.add(host)
            origin = request.headers.get("origin", "")
            fields = {"host": host[:200], "origin": origin[:200], "allowed": allowed}
            log.warning(
                "refused a host that AURORA_PUBLIC_URL does not name", extra={"fields": fields}
            )
        return pages.Refusal(request, error)


def _came_by_http(request: HttpRequest) -> bool:
    """Browsers send Sec-Fetch-Site only over https, and to this machine itself: where it is there
    and the proxy did not say `X-Forwarded-Proto: https`, a redirect would lead in circles."""
    return not request.is_secure() and "sec-fetch-site" not in request.headers
