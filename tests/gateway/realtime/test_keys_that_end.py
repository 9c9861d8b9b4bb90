"""A session lasts no longer than the key that opened it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from providers.snapshot import AliasEntry, KeyEntry
from tests.mounted import MASTER_KEY, key_of, provider, snapshot
from tests.patience import PATIENCE_SECONDS
from tests.realtime_mounted import MODEL, PATH, end_of
from tests.scripted_realtime import until_closed

pytestmark = pytest.mark.anyio

OTHER_KEY = "the-secret-of-another-application"


@pytest.mark.parametrize("target", [PATH, f"/p{PATH.replace('/v1', '/alpha/v1')}"])
async def test_a_revoked_key_ends_its_session(gateway, vllm, target):
    vllm.will(until_closed)
    async with gateway.connect(target) as client:
        await vllm.began()
        gateway.publish(provider(vllm.url, models=(MODEL,)), keys={OTHER_KEY: key_of(OTHER_KEY)})
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client)[0] == 1008
    assert (await vllm.ended()).code == 1001

    record = await gateway.record()
    assert record["status"] == 101
    assert record["reason"].startswith("invalid_api_key")


async def test_a_key_that_expires_ends_its_session(gateway, vllm):
    key = key_of(MASTER_KEY, expires=datetime.now(UTC) + timedelta(hours=1))
    gateway.publish(provider(vllm.url, models=(MODEL,)), keys={MASTER_KEY: key})
    async with gateway.connect() as client:
        object.__setattr__(key, "expires", datetime.now(UTC))  # as if an hour had passed
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client)[0] == 1008


async def test_a_key_that_becomes_one_for_management_alone_ends_its_session(gateway, vllm):
    vllm.will(until_closed)
    async with gateway.connect() as client:
        await vllm.began()
        key = key_of(MASTER_KEY, kind="manager")
        gateway.publish(provider(vllm.url, models=(MODEL,)), keys={MASTER_KEY: key})
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client)[0] == 1008

    assert (await gateway.record())["reason"].startswith("not_permitted")


class Keys(dict[str, KeyEntry]):
    """By digest, as a snapshot has them; `looked` is set once somebody has looked one up."""

    def __init__(self, keys: Mapping[str, KeyEntry]) -> None:
        super().__init__(keys)
        self.looked = threading.Event()

    def get(self, digest: str, default: Any = None) -> Any:
        self.looked.set()
        return super().get(digest, default)


async def test_edits_of_anything_else_end_no_session(gateway, vllm):
    async with gateway.connect() as client:
        edited = snapshot([provider(vllm.url, "omega")], aliases=[AliasEntry("new", ())])
        keys = Keys(edited.keys)
        gateway.catalog.publish(replace(edited, keys=keys))
        assert await asyncio.to_thread(keys.looked.wait, PATIENCE_SECONDS)
        await client.send("still served")
        assert await client.recv() == "still served"
