"""What is wrong with an answer that is no list of models, and what mends it. Pure."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from providers import faults
from providers.addresses import Address
from providers.fetch import Fetched

REFUSES_KEY = "The server refuses the API key"
WANTS_KEY = "The server asks for an API key"
PROXY_REFUSES = "A proxy or login page, not vLLM, refuses the request"
LEADS_BACK = "This is Aurora itself, or leads back to it"
ENTER_VLLM = (
    "Enter the address of a vLLM server, or of an Aurora that has no provider leading here."
)
LISTS_NONE = "The server lists no models."
TYPE_KEY = "Type the key that vLLM was started with (--api-key or VLLM_API_KEY)."
MOST_QUOTED_CHARACTERS = 100
LOOKED_AT_BYTES = 4096
"""Of a body, for what it looks like."""
_TITLE = re.compile(rb"<title[^>]{0,100}>([^<]{1,300})</title", re.IGNORECASE)
_HTML = re.compile(rb"^\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)", re.IGNORECASE)
_SPEAKS_TLS = re.compile(rb"plain HTTP request|HTTP request to an HTTPS|SSL-enabled", re.IGNORECASE)
"""How nginx, Go's servers and Apache answer plain HTTP on a port that speaks TLS."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: the models of this address, with or without a key."""

    address: Address
    has_key: bool = False


def explained(answer: Fetched, question: Question) -> str:
    """Why `answer`, to GET /v1/models, is none, and what to do, in sentences for an operator."""
    page = quoted_page(answer.body)
    if answer.status == 508:
        return f"{LEADS_BACK} (HTTP 508). {ENTER_VLLM}"
    if answer.status in {401, 403}:
        return _refused(answer.status, question, page)
    if answer.status == 400 and _SPEAKS_TLS.search(answer.body[:LOOKED_AT_BYTES]):
        fault = faults.SPEAKS_TLS
        return f"Cannot be reached: {fault.fact}. {fault.mend}"
    if 300 <= answer.status < 400:
        return _redirected(answer)
    if suggestion := question.address.meant:
        return f"{_plainly(answer, question, page)} {_suggested(question, suggestion)}"
    return f"{_plainly(answer, question, page)} {_hint(answer.status, page)}".rstrip()


def quoted_page(body: bytes) -> str | None:
    """The title of an HTML page, in brackets and quotes; "" if it has none, None if `body` is no
    such page."""
    beginning = body[:LOOKED_AT_BYTES]
    if not _HTML.match(beginning):
        return None
    found = _TITLE.search(beginning)
    title = _printable(html.unescape(found[1].decode(errors="replace"))) if found else ""
    return f" (“{title}”)" if title else ""


def _refused(status: int, question: Question, page: str | None) -> str:
    if page is not None:
        return (
            f"{PROXY_REFUSES} (HTTP {status}){page}. Let Aurora through there, or enter the address"
            " of vLLM itself."
        )
    if question.has_key:
        return f"{REFUSES_KEY} (HTTP {status}). {TYPE_KEY}"
    return f"{WANTS_KEY} (HTTP {status}), and none was sent. {TYPE_KEY}"


def _redirected(answer: Fetched) -> str:
    told = f"The server answers HTTP {answer.status}: it redirects"
    try:
        parts = urlsplit(answer.location)
        port = parts.port
    except ValueError:
        return f"{told}."
    path = parts.path.removesuffix("/models")
    where = f"{parts.scheme}://{parts.hostname}:{port}" if port else ""
    where = where or (f"{parts.scheme}://{parts.hostname}" if parts.hostname else "")
    to = _printable(f"{where}{path}")
    return (
        f"{told} to {to or 'nowhere'}. Aurora follows no redirects: enter the address at which vLLM"
        " itself answers."
    )


def _plainly(answer: Fetched, question: Question, page: str | None) -> str:
    """The fact alone."""
    if answer.status == 200:
        named = (
            "not a list of models" if page is None else f"an HTML page{page}, not a list of models"
        )
        return f"The answer is {named}."
    what = f"The server answers HTTP {answer.status}"
    if answer.status == 404:
        what = f"Nothing at {urlsplit(question.address.api_root).path}/models (HTTP 404)"
    return f"{what}." if page is None else f"{what}, with an HTML page{page}."


def _hint(status: int, page: str | None) -> str:
    if page is not None and status in {502, 503, 504}:
        return "A proxy before vLLM answers, and does not reach it."
    if page is not None:
        return "A proxy or another program answers at this address: check host, port and path."
    if status == 404:
        return "Is the base URL right?"
    return "Is this a vLLM server?" if status == 200 else ""


def _suggested(question: Question, suggestion: str) -> str:
    root = urlsplit(question.address.server_root).path
    return f"The base URL has the path {root}: {suggestion} is probably meant."


def _printable(text: str) -> str:
    """On one line, and without what a page, a log line or a database would not take."""
    line = " ".join(text.split())
    return "".join(c for c in line if c.isprintable())[:MOST_QUOTED_CHARACTERS]
