"""`DATABASE_URL`, judged before anything is touched. Pure.

No message repeats the URL, which may hold a password.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, quote, urlsplit

POSTGRES = ("postgres", "postgresql")
SHAPE = "a URL such as postgres://user:password@host:5432/name is needed"
SQLITE_SHAPE = "sqlite:////absolute/path, with four slashes, is needed"


def checked(url: str) -> str:
    """`url`, if a database can be meant by it. Raises ValueError with the mend."""
    scheme = url.partition("://")[0].lower()
    if scheme == "sqlite":
        _check_sqlite(urlsplit(url))
    elif scheme in POSTGRES:
        _check_postgres(url)
    else:
        raise ValueError(f"{SHAPE}, or sqlite:////absolute/path")
    return url


def _check_sqlite(url: SplitResult) -> None:
    if url.netloc or url.path in ("", "/", "/:memory:") or url.path.endswith("/"):
        raise ValueError(f"it names no file: {SQLITE_SHAPE}")
    if url.fragment or url.query:
        raise ValueError(f"it holds a # or a ?: {SQLITE_SHAPE}, with %23 for # and %3F for ?")


def _check_postgres(url: str) -> None:
    try:
        split = urlsplit(url)
        _check_credentials(url, split)
        _ = split.port
    except ValueError as error:
        raise ValueError(_reason(url, error)) from None
    if not split.path.strip("/") and "service" not in parse_qs(split.query):
        raise ValueError("it names no database: end it with one, such as /aurora")


class _Unescaped(ValueError):
    """A character that means something in a URL, and was meant as part of a password or name."""


def _check_credentials(url: str, split: SplitResult) -> None:
    """Such a character ends the host too early, and then an @ stands behind it."""
    behind = split.path + split.fragment + ("" if "@" in split.netloc else split.query)
    if "@" in behind:
        rest = url.partition("://")[2]
        raise _Unescaped(next(character for character in rest if character in "/?#"))
    if split.fragment:
        raise _Unescaped("#")


def _reason(url: str, error: ValueError) -> str:
    """The mend. urlsplit's own words may quote the URL."""
    credentials = url.rpartition("@")[0].partition("://")[2]
    character = str(error) if isinstance(error, _Unescaped) else ""
    character = character or next((one for one in credentials if one in "[]"), "")
    if character:
        return (
            f"a {character} in a user name, password or name is written {quote(character, safe='')}"
        )
    return f"its host or port cannot be read; {SHAPE}"
