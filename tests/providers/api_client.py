"""What the tests of the management API share: a caller of its routes, and what came back."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from providers.models import ApiKey

MASTER = "aurora-master-key-of-the-tests-0123456789"
PROVIDERS = "/api/providers"
KEYS = "/api/keys"
ALIASES = "/api/aliases"
SCHEMA = "/api/schema"


def master_key(secret: str = MASTER, **fields: Any) -> ApiKey:
    return ApiKey.objects.register(secret, **({"name": "Terraform"} | fields))


class Api:
    """Speaks JSON, with a key or as the browser `client`."""

    def __init__(self, secret: str = "", client: Client | None = None) -> None:
        self.client = client or Client()
        self.headers = {"authorization": f"Bearer {secret}"} if secret else {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        sent = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        kind = sent.pop("content-type", "application/json")
        return self.client.generic(method, path, raw, content_type=kind, headers=sent)

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("DELETE", path, **headers)


def refusal(answer: Any) -> dict[str, Any]:
    """The error, in the one shape."""
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    error: dict[str, Any] = body["error"]
    return error
