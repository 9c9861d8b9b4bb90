"""What a server's /openapi.json says of its routes. Read with suspicion. Pure."""

from __future__ import annotations

import msgspec

MOST_ROUTES = 1000
MOST_PATH_CHARACTERS = 200


class _Spec(msgspec.Struct):
    """Nothing but the paths is decoded, and of each only its methods, in lower case."""

    paths: dict[str, dict[str, msgspec.Raw]]


def post_paths(body: bytes) -> list[str] | None:
    """The paths that take a POST, sorted, as the spec writes them: with {…} for what varies.

    None where `body` says nothing of a vLLM server: it is no spec, one without GET /v1/models, or
    one with over MOST_ROUTES such paths, of which a part would look like the whole.
    """
    try:
        paths = msgspec.json.decode(body, type=_Spec).paths
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = sorted(path for path, item in paths.items() if "post" in item and _is_sane(path))
    says = "get" in paths.get("/v1/models", {}) and len(found) <= MOST_ROUTES
    return found if says else None


def _is_sane(path: str) -> bool:
    """Whether a page or a line of the log can show it, and the database keep it."""
    return len(path) <= MOST_PATH_CHARACTERS and path.startswith("/") and path.isprintable()
