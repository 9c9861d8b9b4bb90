"""Many servers as text, one a line: what each line becomes, or what is wrong with it.
No I/O.

A line is a URL, `name URL`, `URL key` or `name URL key`. Quotes around a word and a comma behind it
are taken off; blank lines, and lines that begin with #, are skipped.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from providers import addresses, names
from providers.secrets import check_upstream_key

MOST_SERVERS = 500
MASK = "•••"
"""Stands, with a number behind it, for a key that is kept elsewhere. No key can begin with it."""
_NO_NAME = re.compile(r"[^a-z0-9._-]+")
_PASSWORD = re.compile(r"//[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was meant. Where it holds a `mistake`, the other fields may be empty."""

    number: int
    name: str = ""
    base_url: str = ""
    key: str = field(default="", repr=False)
    mistake: str = ""


def read(text: str, kept: Sequence[str] = ()) -> list[Line]:
    """The lines of `text` that count. `kept` are the keys that masks stand for, in order."""
    numbered = enumerate(text.replace("\ufeff", "").splitlines(), 1)
    return [_line(number, tokens, kept) for number, raw in numbered if (tokens := _tokens(raw))]


def named(lines: Sequence[Line], taken: Mapping[str, str]) -> list[Line]:
    """The same with a name for each, and with a mistake where another has its name or address.

    `taken` are the names of the providers there are, and their base URLs.
    """
    names_taken = set(taken) | {line.name for line in lines if line.name}
    owners = {base_url: name for name, base_url in taken.items()}
    hosts = Counter(urlsplit(line.base_url).hostname for line in lines)
    seen_names: set[str] = set(taken)
    found = []
    for line in lines:
        checked = _against(line, seen_names, owners)
        if not checked.mistake:
            several = hosts[urlsplit(line.base_url).hostname] > 1
            name = checked.name or names.free(_candidates(line.base_url, several), names_taken)
            checked = replace(checked, name=name)
            names_taken.add(name)
            seen_names.add(name)
            owners[line.base_url] = f"line {line.number}"
        found.append(checked)
    return found


def masked(text: str, kept: Sequence[str] = ()) -> tuple[str, list[str]]:
    """`text` without anything that may be a secret, and the keys that its masks stand for."""
    keys: list[str] = []
    lines = (" ".join(_masked(_tokens(raw), kept, keys)) for raw in text.splitlines())
    return "\n".join(lines), keys


def _tokens(raw: str) -> list[str]:
    words = raw.split()
    if not words or words[0].startswith("#"):
        return []
    bare = (word.rstrip(",;") for word in words)
    return [_unquoted(word) for word in bare if word]


def _unquoted(word: str) -> str:
    is_quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "\"'"
    return word[1:-1] if is_quoted else word


def _line(number: int, tokens: list[str], kept: Sequence[str]) -> Line:
    at = _url_at(tokens)
    if at is None:
        example = addresses.DEFAULT_BASE_URL
        return Line(number, mistake=f"There is no URL such as {example}, with http:// or https://.")
    if at > 1 or len(tokens) > at + 2:
        return Line(number, mistake="A line has at most a name, a URL and a key, in this order.")
    name, key = "".join(tokens[:at]), "".join(tokens[at + 1 :])
    try:
        opened = _opened(key, kept)
        check_upstream_key(opened)
        return Line(number, name, addresses.normalised(tokens[at]), opened)
    except ValueError as error:  # BadAddress among them; neither repeats a secret
        told = str(error)
        return Line(number, name, mistake=f"{told[:1].upper()}{told[1:]}.")


def _url_at(tokens: Sequence[str]) -> int | None:
    return next((at for at, token in enumerate(tokens) if "://" in token), None)


def _opened(key: str, kept: Sequence[str]) -> str:
    if not key.startswith(MASK):
        return key
    number = key.removeprefix(MASK)
    if not number.isdecimal() or not 0 < int(number) <= len(kept):
        raise ValueError("the key of this line is kept no longer: type it again")
    return kept[int(number) - 1]


def _against(line: Line, names_taken: set[str], owners: Mapping[str, str]) -> Line:
    """`line`, with a mistake if its name or its address is another's."""
    if line.mistake:
        return line
    if line.name in names_taken:
        return replace(line, mistake=f"The name {line.name} is taken.")
    if owner := owners.get(line.base_url):
        return replace(line, mistake=f"This is the base URL of {owner}.")
    return line


def _candidates(base_url: str, several: bool) -> Iterator[str]:
    """Names for a server, the shortest first: by its host, and by its port where `several` servers
    share the host."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    short = host if _is_ip(host) else host.partition(".")[0]
    path = parts.path.removesuffix("/v1")
    behind = f"-{parts.port}" if parts.port else ""
    hosts = (short, host)
    tried = [f"{each}{behind}" for each in hosts] + [f"{each}{behind}{path}" for each in hosts]
    yield from (_slug(each) for each in (tried if several else [*hosts, *tried]))


def _slug(text: str) -> str:
    made = _NO_NAME.sub("-", text.lower()).strip("._-")[: names.MOST_NAME_CHARACTERS]
    return made.strip("._-") or "server"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _masked(tokens: list[str], kept: Sequence[str], keys: list[str]) -> Iterator[str]:
    """What stands before or in a URL may be shown; what follows may be a key, and so may all but
    the first word of a line without one."""
    at = _url_at(tokens)
    shown = 1 if at is None else at + 1
    for token in tokens[:shown]:
        yield _PASSWORD.sub(f"//{MASK}@", token)
    for token in tokens[shown:]:
        try:
            keys.append(_opened(token, kept))
        except ValueError:
            yield token
        else:
            yield f"{MASK}{len(keys)}"
