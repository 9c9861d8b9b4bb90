"""What `/p/<provider>/…` lets through, and where it goes. Pure.

vLLM checks its key on four path prefixes only and adds control routes with its releases, so this
is an allow-list of exact methods and paths: what is not named does not pass. The path that is sent
is the table's own, never the client's text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote_to_bytes

from gateway.errors import InvalidPath, NotPermitted, UnknownPath, UnknownProvider, WrongMethod
from gateway.routing import Pool, Settings, Target, Tier, Way
from providers.snapshot import ProviderEntry, Snapshot

PREFIX = "/p/"


class Access(Enum):
    """Who may use a route, and on which providers."""

    INFERENCE = "inference"
    """Any key."""
    STATE = "state"
    """Reads the server's state: master keys."""
    CONTROL = "control"
    """Changes the server: master keys, and only where the provider is set to allow it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method and path of vLLM. A path may end in `{name}`: one segment, any text."""

    method: str
    path: str
    access: Access


def _routes(access: Access, method: str, *paths: str) -> tuple[Route, ...]:
    return tuple(Route(method, path, access) for path in paths)


ROUTES = (
    *_routes(
        Access.INFERENCE, "POST",
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses",
        "/v1/messages", "/v1/messages/count_tokens", "/v1/audio/transcriptions",
        "/v1/audio/translations", "/v1/score", "/v1/rerank", "/v2/rerank", "/v2/embed",
        "/tokenize", "/detokenize", "/pooling", "/score", "/rerank", "/classify",
        "/v1/chat/completions/batch",
    ),
    *_routes(Access.INFERENCE, "GET", "/v1/models"),
    *_routes(
        Access.STATE, "GET",
        "/health", "/ping", "/version", "/load", "/metrics", "/openapi.json",
    ),
    *_routes(
        Access.STATE, "POST",
        "/v1/chat/completions/render", "/v1/completions/render", "/v1/responses/render",
        "/v1/messages/render",
    ),
    *_routes(
        Access.CONTROL, "POST",
        "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/adapters", "/sleep", "/wake_up",
        "/pause", "/resume", "/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache",
        "/start_profile", "/stop_profile", "/abort_requests",
    ),
    *_routes(
        Access.CONTROL, "GET",
        "/adapters", "/is_sleeping", "/is_paused", "/tokenizer_info", "/server_info",
    ),
    *_routes(Access.CONTROL, "DELETE", "/adapters/{name}"),
)  # fmt: skip

CHANGE_MODELS = frozenset(
    {
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/v1/unload_lora_adapter"),
        ("POST", "/adapters"),
        ("DELETE", "/adapters/{name}"),
        ("POST", "/sleep"),
        ("POST", "/wake_up"),
    }
)
"""Routes after which a server may serve other models than before."""

_EXACT = {(r.method, r.path): r for r in ROUTES if "{" not in r.path}
_OPEN_ENDED = tuple(r for r in ROUTES if "{" in r.path)
_METHODS: dict[str, set[str]] = {}
for _route in ROUTES:
    _METHODS.setdefault(_route.path, set()).add(_route.method)

_TRICKS = re.compile(rb"//|[\\;\x00-\x20\x7f]|%(?:2f|5c|3b|25|[01][0-9a-f]|7f)", re.IGNORECASE)
"""What no path of vLLM holds, and what servers and proxies read in more than one way."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A call that may pass: which provider name (or type) it is for, and the path to send."""

    provider: str
    route: Route
    path: str

    @property
    def changes_models(self) -> bool:
        return (self.route.method, self.route.path) in CHANGE_MODELS


def passage(method: str, raw_path: bytes) -> Passage:
    """What `raw_path`, as it stood on the request line, asks for.

    Raises InvalidPath for path tricks, UnknownPath and WrongMethod for what is not on the list.
    """
    provider, segments = _split(raw_path)
    path = "/" + "/".join(segments)
    for spelled in _spellings(path):
        found = _match(method, spelled)
        if found is not None:
            return Passage(provider, *found)
    allowed = {m for spelled in _spellings(path) for m in _METHODS.get(spelled, ())}
    if allowed:
        raise WrongMethod(allowed)
    raise UnknownPath(
        "This path does not pass to a provider; docs/passthrough.md lists those that do."
    )


REALTIME = Route("GET", "/v1/realtime", Access.INFERENCE)
"""A WebSocket, which is asked for by GET. As a plain call it does not pass."""


def realtime_passage(raw_path: bytes) -> Passage:
    """What `raw_path` asks for as a WebSocket. Raises InvalidPath or UnknownPath."""
    provider, segments = _split(raw_path)
    if REALTIME.path not in _spellings("/" + "/".join(segments)):
        raise UnknownPath("Of WebSockets, only /p/<provider>/v1/realtime passes to a provider.")
    return Passage(provider, REALTIME, REALTIME.path)


def _split(raw_path: bytes) -> tuple[str, list[str]]:
    """The provider's name, and the decoded path below it without dot segments (RFC 3986, 5.2.4)."""
    if _TRICKS.search(raw_path):
        raise InvalidPath("This path holds characters that could be read in more than one way.")
    try:
        decoded = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidPath("This path is not UTF-8.") from None
    kept: list[str] = []
    for segment in decoded.split("/")[1:]:
        if segment == "..":
            if len(kept) <= 2:
                raise InvalidPath("This path climbs out of its provider.")
            kept.pop()
        elif segment != ".":
            kept.append(segment)
    if len(kept) > 2 and not kept[-1]:
        kept.pop()  # a slash at the end
    if len(kept) < 2 or not kept[1]:
        raise UnknownPath("A provider's name is needed: /p/<provider>/…")
    return kept[1], kept[2:]


def _spellings(path: str) -> tuple[str, ...]:
    """`path`, then with /v1 added or taken away: vLLM's routes may be written either way."""
    if not path.startswith("/v1/"):
        return (path, f"/v1{path}")
    return (path, path.removeprefix("/v1")) if not path.startswith("/v1/v1/") else (path,)


def _match(method: str, path: str) -> tuple[Route, str] | None:
    route = _EXACT.get((method, path))
    if route is not None:
        return route, route.path
    for route in _OPEN_ENDED:
        prefix = route.path.partition("{")[0]
        rest = path.removeprefix(prefix)
        if route.method == method and path.startswith(prefix) and rest and "/" not in rest:
            return route, prefix + quote(rest, safe="")
    return None


def permit(route: Route, provider: ProviderEntry, *, is_master: bool) -> None:
    """Raises NotPermitted where the provider or the caller's key does not allow `route`."""
    if provider.passthrough == "off":
        raise NotPermitted(f"The provider {provider.name!r} does not allow passthrough.")
    if not _allows(route, provider):
        raise NotPermitted(f"The provider {provider.name!r} does not allow control routes.")
    if route.access is not Access.INFERENCE and not is_master:
        raise NotPermitted("This route is for master keys.")


def _allows(route: Route, provider: ProviderEntry) -> bool:
    if route.access is Access.CONTROL:
        return provider.passthrough == "control"
    return provider.passthrough != "off"


def candidates(name: str, snapshot: Snapshot) -> tuple[ProviderEntry, ...]:
    """The provider of that name, then those of that type, by name. Raises UnknownProvider."""
    named = snapshot.providers.get(name)
    of_type = [p for p in snapshot.providers.values() if p.type == name and p is not named]
    if named is not None:
        return (named, *of_type)
    if not of_type:
        raise UnknownProvider(f"There is no provider {name[:80]!r}.")
    return tuple(of_type)


def serving(providers: tuple[ProviderEntry, ...], model: str | None) -> list[ProviderEntry]:
    """Those that serve `model`; where none does, the first."""
    return [provider for provider in providers if model in provider.models] or [providers[0]]


def allowing(route: Route, providers: list[ProviderEntry]) -> list[ProviderEntry]:
    """Those that allow `route`, of providers the first of which does."""
    first, *others = providers
    return [first, *(each for each in others if _allows(route, each))]


def pool(
    providers: list[ProviderEntry], model: str | None, passage: Passage, settings: Settings
) -> Pool:
    """The provider that is named, and behind it those of the type of that name."""
    named = [provider for provider in providers if provider.name == passage.provider]
    others = [provider for provider in providers if provider.name != passage.provider]
    found = [those for those in (named, others) if those]
    tiers = [_tier(number, passage, model, those) for number, those in enumerate(found, start=1)]
    calls, seconds = settings.queue_calls, settings.queue_seconds
    return Pool(passage.provider, tuple(tiers), settings.policy, calls, seconds)


def _tier(number: int, passage: Passage, model: str | None, providers: list[ProviderEntry]) -> Tier:
    """Its name holds all that its ways hang on: by it a call that waited finds its tier again."""
    known = model if model is not None and model in providers[0].models else ""
    ways = [Way(Target(provider, known), passage.path) for provider in providers]
    name = f"{PREFIX}{passage.provider}#{number} {known}{passage.path}"
    return Tier.of(name, ways, [provider.weight for provider in providers])
