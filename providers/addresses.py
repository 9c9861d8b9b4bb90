"""Base URLs: as operators write them, and as Aurora uses them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

_API_PATH = re.compile(
    r"(?:/v1(?:/.*)?|/(?:chat/completions|completions|embeddings|messages|models|responses"
    r"|docs|health|metrics|openapi\.json|version))\Z"
)
"""What a base URL does not end with, /v1 being taken off."""
DEFAULT_BASE_URL = "http://localhost:8000/v1"


class BadAddress(ValueError):
    """Not a base URL. The text says why and never repeats a password."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a vLLM server answers: `server_root` for /health, `api_root` (…/v1) for /v1/models."""

    server_root: str

    @property
    def api_root(self) -> str:
        return f"{self.server_root}/v1"

    @property
    def meant(self) -> str:
        """The base URL that was probably meant, where this one was written with a path of the API,
        such as /v1/v1 or /v1/chat/completions; else empty."""
        parts = urlsplit(self.server_root)
        path = _API_PATH.sub("", parts.path)
        if path == parts.path:
            return ""
        return Address(urlunsplit((parts.scheme, parts.netloc, path, "", ""))).api_root


def parse(base_url: str) -> Address:
    """The address that `base_url` means, with or without `/v1`, trailing slash or path prefix.

    Raises BadAddress.
    """
    try:
        parts = urlsplit(base_url.strip())
        port = parts.port
    except ValueError:  # its text would repeat the URL, password and all
        raise BadAddress("not a URL: its host or port cannot be read") from None
    _check(base_url, parts.scheme, parts.hostname)
    if parts.username is not None or parts.password is not None:
        raise BadAddress(
            "a URL must not hold a user name or password; the API key has its own field"
        )
    if parts.query or parts.fragment or base_url.rstrip().endswith(("?", "#")):
        raise BadAddress("a base URL has neither query nor fragment")
    if port == 0:
        raise BadAddress("port 0 cannot be called")
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return Address(urlunsplit((parts.scheme.lower(), parts.netloc, path, "", "")))


def _check(base_url: str, scheme: str, hostname: str | None) -> None:
    if scheme.lower() not in {"http", "https"} or not hostname:
        raise BadAddress(f"a URL such as {DEFAULT_BASE_URL} is needed, with http:// or https://")
    if any(c.isspace() or ord(c) < 0x20 or c == "\\" for c in base_url.strip()):
        raise BadAddress("a URL holds no spaces, control characters or backslashes")
    _check_host(hostname)


def _check_host(hostname: str) -> None:
    """Raises BadAddress for a name that no resolver can be asked for."""
    try:
        ascii_name = hostname.encode("idna")
        ascii_name.decode("idna")
    except UnicodeError:
        raise BadAddress("this host name cannot be looked up") from None


def same_origin(one: str, other: str) -> bool:
    """Whether two base URLs are of one scheme, host and port: where the one's key may go, too."""
    return _origin(one) == _origin(other)


def _origin(base_url: str) -> tuple[str, str, int]:
    parts = urlsplit(parse(base_url).server_root)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def normalised(base_url: str) -> str:
    """The one way a base URL is stored: its API root."""
    return parse(base_url).api_root
