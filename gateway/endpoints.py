"""What Aurora serves. A new endpoint is a row here, not a new path through the code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from gateway.errors import UnknownPath, WrongMethod


class Action(Enum):
    """What is done with a call; `views` has one function for each."""

    RELAY = auto()
    LIST_MODELS = auto()
    SHOW_MODEL = auto()
    PASS_THROUGH = auto()
    HEALTH = auto()
    READY = auto()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row. `path` is a template whose last part, in braces, may hold slashes."""

    methods: frozenset[str]
    path: str
    action: Action
    upstream_path: str = ""
    """Where the call goes on the vLLM server, below its server root."""

    @property
    def prefix(self) -> str:
        return self.path.partition("{")[0]

    def check(self, method: str) -> None:
        """Raises WrongMethod with what this path takes."""
        if method not in self.methods:
            raise WrongMethod(self.methods)


def _relay(path: str) -> Endpoint:
    return Endpoint(frozenset({"POST"}), path, Action.RELAY, path)


def _read(path: str, action: Action) -> Endpoint:
    return Endpoint(frozenset({"GET", "HEAD"}), path, action)


ANY_METHOD = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

TABLE = (
    _relay("/v1/chat/completions"),
    _relay("/v1/completions"),
    _relay("/v1/embeddings"),
    _read("/v1/models", Action.LIST_MODELS),
    _read("/v1/models/{id}", Action.SHOW_MODEL),
    Endpoint(ANY_METHOD, "/p/{provider and path}", Action.PASS_THROUGH),
    _read("/health", Action.HEALTH),
    _read("/ready", Action.READY),
)

_EXACT = {row.path: row for row in TABLE if "{" not in row.path}
_OPEN_ENDED = tuple(row for row in TABLE if "{" in row.path)


def find(path: str) -> Endpoint:
    """The row for a decoded path. Raises UnknownPath."""
    row = _EXACT.get(path) or next((r for r in _OPEN_ENDED if _below(r.prefix, path)), None)
    if row is None:
        raise UnknownPath(f"There is nothing at {path[:200]}.")
    return row


def _below(prefix: str, path: str) -> bool:
    return path.startswith(prefix) and len(path) > len(prefix)
