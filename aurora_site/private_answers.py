"""No cache keeps what depends on who asks: pages, and answers of the management API.

Refusals are among them, also those from before Django's part. Static files are anybody's.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

CACHE_CONTROL = "private, no-store"
WHO_ASKS = ("Accept", "Authorization", "Cookie", "X-Api-Key", "Api-Key")
"""The headers by which an answer differs: each that may hold a key, and what a page looks at."""
STATIC = "/static/"


class PrivateAnswers:
    """Middleware around all that answers one caller alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self._get_response(request)
        if not request.path_info.startswith(STATIC):
            answer["Cache-Control"] = CACHE_CONTROL
            patch_vary_headers(answer, WHO_ASKS)
        return answer


def headers_for(path: str) -> list[tuple[bytes, bytes]]:
    """The same for a refusal that does not come from Django."""
    if path.startswith(STATIC):
        return []
    vary = ", ".join(WHO_ASKS).encode()
    return [(b"cache-control", CACHE_CONTROL.encode()), (b"vary", vary)]
