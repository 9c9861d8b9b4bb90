"""What Aurora serves. A new endpoint is a row here, not a new path through the code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from gateway.dialects import Dialect
from gateway.errors import UnknownPath, WrongMethod


class Action(Enum):
    """What is done with a call; `views` has one function for each."""

    RELAY = auto()
    RELAY_FORM = auto()
    RERANK = auto()
    EMBED = auto()
    MESSAGE = auto()
    COUNT_MESSAGE_TOKENS = auto()
    RESPOND = auto()
    SHOW_RESPONSE = auto()
    DELETE_RESPONSE = auto()
    CANCEL_RESPONSE = auto()
    LIST_INPUT_ITEMS = auto()
    COUNT_RESPONSE_TOKENS = auto()
    COMPACT_RESPONSE = auto()
    CREATE_CONVERSATION = auto()
    SHOW_CONVERSATION = auto()
    UPDATE_CONVERSATION = auto()
    DELETE_CONVERSATION = auto()
    LIST_ITEMS = auto()
    ADD_ITEMS = auto()
    SHOW_ITEM = auto()
    DELETE_ITEM = auto()
    LIST_MODELS = auto()
    SHOW_MODEL = auto()
    PASS_THROUGH = auto()
    SHOW_TOKENIZER = auto()
    HEALTH = auto()
    READY = auto()


NATIVE, OWN = "native", "Aurora's own"
SERVED: Mapping[Action, str] = {
    Action.RELAY_FORM: "native; `model` stands anywhere in the form",
    Action.RERANK: "native; documents may be objects, `return_documents` is honoured",
    Action.EMBED: "native; `input_type` is left out for a model that defines none",
    Action.MESSAGE: "native, else translated to chat completions",
    Action.COUNT_MESSAGE_TOKENS: "native, else translated to `/tokenize`",
    Action.RESPOND: "native, else translated to chat completions; the state is Aurora's",
    Action.COUNT_RESPONSE_TOKENS: "translated to `/tokenize`",
    Action.COMPACT_RESPONSE: "refused (501)",
    Action.RELAY: NATIVE,
    Action.SHOW_TOKENIZER: "native; `?model=` names the model, unless there is but one",
    Action.PASS_THROUGH: "native, what an allow-list names",
}
"""How each action serves a call, for docs/endpoints.md; `OWN` is any other."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row. In `path`, `{name}` stands for one segment, `{name:path}` for all that follows."""

    methods: frozenset[str]
    path: str
    action: Action
    feature: str
    """What a client's reader would call it."""
    upstream_paths: tuple[str, ...] = ()
    """Where the call goes on the vLLM server, below its server root: the first that it has."""
    dialect: Dialect = Dialect.OPENAI

    @property
    def served(self) -> str:
        return SERVED.get(self.action, OWN)

    @property
    def template(self) -> str:
        """`path` as a reader writes it, and the log."""
        return self.path.replace(":path}", "}")

    def names(self, path: str) -> dict[str, str]:
        """What stands in `path` for each name in braces."""
        pattern = _PATTERNS[self.path]
        match = pattern.fullmatch(tidy(path)) or pattern.fullmatch(path)
        return match.groupdict() if match else {}


def _post(
    path: str,
    action: Action,
    feature: str,
    *upstream_paths: str,
    dialect: Dialect = Dialect.OPENAI,
) -> Endpoint:
    return Endpoint(frozenset({"POST"}), path, action, feature, upstream_paths, dialect)


def _relay(feature: str, *paths: str, upstream: tuple[str, ...] = ()) -> tuple[Endpoint, ...]:
    """Rows that go to the path of the same name, or to the first of `upstream` that there is."""
    return tuple(_post(path, Action.RELAY, feature, *(upstream or (path,))) for path in paths)


def _rerank(path: str, *others: str, dialect: Dialect = Dialect.OPENAI) -> Endpoint:
    return _post(path, Action.RERANK, "Rerank", path, *others, dialect=dialect)


def _read(path: str, action: Action, feature: str) -> Endpoint:
    return Endpoint(frozenset({"GET", "HEAD"}), path, action, feature)


def _delete(path: str, action: Action, feature: str) -> Endpoint:
    return Endpoint(frozenset({"DELETE"}), path, action, feature)


ANY_METHOD = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
COMPLETIONS = "/v1/completions"
INVOCATIONS, TOKENIZER = "/invocations", "/tokenizer_info"
STREAMED = frozenset({CHAT, COMPLETIONS, MESSAGES, RESPONSES})
"""Routes whose answer is a stream where `stream` is true, vLLM's own paths among them."""
CONVERSATION = "/v1/conversations/{id}"

TABLE = (
    *_relay("Chat completions", CHAT),
    *_relay("Chat completions, many conversations in one call", "/v1/chat/completions/batch"),
    *_relay("Completions", COMPLETIONS),
    *_relay("Embeddings", "/v1/embeddings"),
    _post(RESPONSES, Action.RESPOND, "Responses", RESPONSES, CHAT, dialect=Dialect.RESPONSES),
    _post(
        "/v1/responses/input_tokens", Action.COUNT_RESPONSE_TOKENS, "Responses: count input tokens",
        "/tokenize",
    ),
    _post("/v1/responses/compact", Action.COMPACT_RESPONSE, "Responses: compact"),
    _read("/v1/responses/{id}", Action.SHOW_RESPONSE, "Responses: retrieve, resume a stream"),
    _delete("/v1/responses/{id}", Action.DELETE_RESPONSE, "Responses: delete"),
    _post("/v1/responses/{id}/cancel", Action.CANCEL_RESPONSE, "Responses: cancel"),
    _read("/v1/responses/{id}/input_items", Action.LIST_INPUT_ITEMS, "Responses: input items"),
    _post("/v1/conversations", Action.CREATE_CONVERSATION, "Conversations: create"),
    _read(CONVERSATION, Action.SHOW_CONVERSATION, "Conversations: retrieve"),
    _post(CONVERSATION, Action.UPDATE_CONVERSATION, "Conversations: update"),
    _delete(CONVERSATION, Action.DELETE_CONVERSATION, "Conversations: delete"),
    _read(f"{CONVERSATION}/items", Action.LIST_ITEMS, "Conversations: list items"),
    _post(f"{CONVERSATION}/items", Action.ADD_ITEMS, "Conversations: add items"),
    _read(f"{CONVERSATION}/items/{{item}}", Action.SHOW_ITEM, "Conversations: retrieve an item"),
    _delete(f"{CONVERSATION}/items/{{item}}", Action.DELETE_ITEM, "Conversations: delete an item"),
    _post(
        MESSAGES, Action.MESSAGE, "Anthropic Messages", MESSAGES, CHAT, dialect=Dialect.ANTHROPIC
    ),
    _post(
        "/v1/messages/count_tokens", Action.COUNT_MESSAGE_TOKENS, "Anthropic: count tokens",
        "/v1/messages/count_tokens", "/tokenize", dialect=Dialect.ANTHROPIC,
    ),
    _rerank("/v1/rerank", "/rerank"),
    _rerank("/v2/rerank", "/v1/rerank", "/rerank", dialect=Dialect.COHERE),
    _rerank("/rerank", "/v1/rerank"),
    *_relay("Score", "/v1/score", upstream=("/v1/score", "/score")),
    *_relay("Score", "/score", upstream=("/score", "/v1/score")),
    *_relay("Classify", "/v1/classify", "/classify", upstream=("/classify",)),
    *_relay("Pooling", "/v1/pooling", "/pooling", upstream=("/pooling",)),
    *_relay("Tokenize", "/v1/tokenize", "/tokenize", upstream=("/tokenize",)),
    *_relay("Detokenize", "/v1/detokenize", "/detokenize", upstream=("/detokenize",)),
    _post("/v2/embed", Action.EMBED, "Cohere embed", "/v2/embed", dialect=Dialect.COHERE),
    _post(
        "/v1/audio/transcriptions", Action.RELAY_FORM, "Audio: transcribe",
        "/v1/audio/transcriptions",
    ),
    _post(
        "/v1/audio/translations", Action.RELAY_FORM, "Audio: translate", "/v1/audio/translations"
    ),
    *_relay("SageMaker: any of these calls, by the shape of its body", INVOCATIONS),
    Endpoint(
        frozenset({"GET"}), TOKENIZER, Action.SHOW_TOKENIZER, "The tokenizer of a model",
        (TOKENIZER,),
    ),
    _read("/v1/models", Action.LIST_MODELS, "Models: list"),
    _read("/v1/models/{id:path}", Action.SHOW_MODEL, "Models: retrieve"),
    Endpoint(ANY_METHOD, "/p/{passage:path}", Action.PASS_THROUGH, "What is vLLM's own"),
    _read("/health", Action.HEALTH, "The process lives"),
    Endpoint(
        frozenset({"GET", "HEAD", "POST"}), "/ping", Action.HEALTH, "SageMaker: the process lives"
    ),
    _read("/ready", Action.READY, "There is something to serve"),
)  # fmt: skip
SOCKETS: Mapping[str, str] = {
    "/v1/realtime": "Realtime",
    "/p/{provider}/v1/realtime": "Realtime of a named provider",
}
"""The features that are WebSockets, by path: `consumers` serves them, native, frame by frame."""


def _pattern(path: str) -> re.Pattern[str]:
    literal = re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
    named = re.sub(r"{(\w+):path}", r"(?P<\1>.+)", literal)
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", named), re.DOTALL)


_ROWS: dict[str, tuple[Endpoint, ...]] = {}
for _row in TABLE:
    _ROWS[_row.path] = (*_ROWS.get(_row.path, ()), _row)
_PATTERNS = {path: _pattern(path) for path in _ROWS}
_OPEN_ENDED = tuple((_PATTERNS[path], rows) for path, rows in _ROWS.items() if "{" in path)


def at(path: str) -> tuple[Endpoint, ...]:
    """The rows of a decoded path: one for each group of methods. Raises UnknownPath."""
    plain = tidy(path)
    rows = _fixed(path) or _fixed(plain) or _open_ended(path) or _open_ended(plain)
    if rows is None:
        raise UnknownPath(f"There is nothing at {path[:200]}.{_advice(plain)}")
    return rows


def tidy(path: str) -> str:
    """`path` without the slashes that a base URL with one at its end puts in, or leaves behind."""
    return re.sub(r"/{2,}", "/", path).rstrip("/") or "/"


def _fixed(path: str) -> tuple[Endpoint, ...] | None:
    return None if "{" in path else _ROWS.get(path)


def _open_ended(path: str) -> tuple[Endpoint, ...] | None:
    return next((rows for pattern, rows in _OPEN_ENDED if pattern.fullmatch(path)), None)


def _advice(path: str) -> str:
    """What is wrong with the base URL of a client that asks for `path`, if that is what it is."""
    for meant in (path.replace("/v1/v1/", "/v1/", 1), f"/v1{path}"):
        if meant != path and (_fixed(meant) or _open_ended(meant)):
            return (
                f" {meant[:200]} is served here: the base URL of OpenAI's clients ends with /v1, and"
                " that of Anthropic's and Cohere's with the host and port."
            )
    return ""


def among(rows: tuple[Endpoint, ...], method: str) -> Endpoint:
    """The row for `method`. Raises WrongMethod with what its path takes."""
    row = next((row for row in rows if method in row.methods), None)
    if row is None:
        raise WrongMethod(sorted({allowed for row in rows for allowed in row.methods}))
    return row
