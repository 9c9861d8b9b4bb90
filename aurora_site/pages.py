"""How Aurora's own refusals look: a page for a person below /admin/, the one JSON shape elsewhere."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from aurora_site import content_policy, private_answers
from gateway import errors
from gateway.client import Client
from gateway.errors import GatewayError
from gateway.headers import first

HTML = "text/html; charset=utf-8"
PROTECTION = {
    content_policy.HEADER: content_policy.REFUSAL,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""A page may be refused before the middleware that says these with other pages."""
TITLES = {
    400: "This page cannot be shown",
    403: "This is not permitted",
    404: "There is no such page",
    408: "The upload was too slow",
    413: "This is too large",
    431: "This request is too large",
    500: "Aurora failed to make this page",
    507: "The database's disk is full",
    503: "Aurora cannot answer at the moment",
}


class Refusal(HttpResponse):
    """The answer of Django's part for `error`."""

    def __init__(self, request: HttpRequest, error: GatewayError) -> None:
        body, content_type, headers = errors.shape(error), "application/json", error.headers
        if _is_for_a_person(request.path, request.headers.get("accept", "")):
            page = _page(error, request.headers.get("x-request-id", ""))
            body, content_type, headers = page.encode(), HTML, {**headers, **PROTECTION}
        super().__init__(body, content_type, error.status, headers=headers)


async def refuse(client: Client, error: GatewayError) -> None:
    """Refuse a request that has not come to Django's part."""
    request = client.request
    accept = first(request.headers, b"accept") or b""
    body, content_type, said = errors.shape(error), "application/json", dict(error.headers)
    if _is_for_a_person(request.path, accept.decode("latin-1")):
        body, content_type = _page(error, request.id).encode(), HTML
        said |= PROTECTION
    headers = [(b"content-type", content_type.encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in said.items()]
    headers += private_answers.headers_for(request.path)
    await client.answer(error.status, headers, body)


def _is_for_a_person(path: str, accept: str) -> bool:
    """Scripts of a page ask with `Accept: */*`, and programs with none or JSON's."""
    return (path == "/" or path.startswith("/admin")) and "text/html" in accept.lower()


def _page(error: GatewayError, request_id: str) -> str:
    title = TITLES.get(error.status, HTTPStatus(error.status).phrase)
    return render_to_string(
        "error.html",
        {"title": title, "message": str(error), "status": error.status, "request_id": request_id},
    )
