"""Who calls in these tests, and what they keep."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from openai import OpenAI

from gateway.state.values import Copy
from providers import secrets
from tests.mounted import MASTER_KEY, MountedGateway
from tests.patience import PATIENCE_SECONDS

OTHER_KEY = "aurora-another-secret-of-these-tests"
ROTATED_KEY = "aurora-rotated-secret-of-these-tests"
CONVERSATIONS = "/v1/conversations"


def sdk(gateway: MountedGateway, key: str = MASTER_KEY) -> OpenAI:
    """The official client, as it comes but for repeating. To be closed."""
    return OpenAI(
        base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=PATIENCE_SECONDS
    )


def user(text: str, **members: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **members}


def created(gateway: MountedGateway, *items: dict[str, Any], key: str = MASTER_KEY) -> str:
    """The path of a new conversation of these items."""
    answer = gateway.post(CONVERSATIONS, {"items": list(items)}, key=key)
    assert answer.status == 200, answer.body
    return f"{CONVERSATIONS}/{answer.json['id']}"


def texts(items: list[dict[str, Any]]) -> list[str]:
    return [item["content"][0]["text"] for item in items]


def owner(gateway: MountedGateway, key: str = MASTER_KEY) -> UUID:
    return gateway.catalog.current().keys[secrets.digests(key)[0]].owner


def kept(gateway: MountedGateway, id: str, *items: dict[str, Any], **fields: Any) -> None:
    """Have a response of MASTER_KEY's kept that these items were the input of."""
    copy = Copy(
        owner=owner(gateway),
        id=id,
        body=msgspec.json.encode({"id": id, "status": "completed"}),
        status="completed",
        items=tuple(msgspec.json.encode(item) for item in items),
        **fields,
    )

    async def keep() -> None:
        gateway.store.keep(copy)

    gateway.on_loop(keep())
