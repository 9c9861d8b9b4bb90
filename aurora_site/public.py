"""Where people find Aurora's pages: the URLs of AURORA_PUBLIC_URL, and the hosts in them. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

MOST_HOST_CHARACTERS = 300
"""Of a Host header: a DNS name has 253 at most (RFC 1035), and a port follows."""
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """A scheme and a host, as a browser's Origin has them: the host in ASCII, no default port."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "")

    @property
    def is_https(self) -> bool:
        return self.scheme == "https"


def parse(value: str) -> PublicUrl:
    """Raises ValueError, without repeating `value`, for what is no URL or has more than a host."""
    parts = split(value.strip())
    rest = (parts.path.strip("/"), parts.query, parts.fragment, parts.username, parts.password)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or any(rest):
        raise ValueError("a URL such as https://aurora.example.com is needed, and no more of it")
    port = None if parts.port == DEFAULT_PORTS[parts.scheme] else parts.port
    return PublicUrl(parts.scheme, ascii_host(parts.hostname), port)


def base_url(urls: Sequence[PublicUrl], port: int) -> str:
    """Where a person at this machine finds Aurora."""
    return str(urls[0]) if urls else f"http://localhost:{port}"


def split(value: str) -> SplitResult:
    """Raises ValueError, without repeating `value`."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("this is not a URL: its host or port cannot be read") from None
    return parts


def ascii_host(host: str) -> str:
    """`host` as browsers send it: lower case, other alphabets in Punycode (RFC 3490)."""
    try:
        return host.encode("idna").decode("ascii").lower().rstrip(".")
    except UnicodeError:
        raise ValueError("its host is no name that the DNS could hold") from None


def host_of(header: str) -> str:
    """The host of a Host header, without port and brackets, as `PublicUrl.host` has it; "" where it
    is none, or too long for one: Punycode costs by the character, and anybody can send any."""
    if len(header) > MOST_HOST_CHARACTERS:
        return ""
    try:
        return ascii_host(urlsplit(f"//{header}").hostname or "")
    except ValueError:
        return ""
