"""A gateway that keeps what callers own, in the database of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.client import Limits
from gateway.state.store import Store
from tests.gateway.conversations.callers import OTHER_KEY, ROTATED_KEY
from tests.gateway.state.stores import PATIENT
from tests.mounted import MASTER_KEY, MountedGateway, key_of, provider
from tests.scripted_vllm import ScriptedVllm
from tests.serving import ServerThread


@pytest.fixture
def gateway(
    server_thread: ServerThread, vllm: ScriptedVllm, limits: Limits, transactional_db: Any
) -> Iterator[MountedGateway]:
    """Knows `vllm` as `alpha`, MASTER_KEY, a key that it was rotated into, and another's."""
    store = Store(30, PATIENT)
    mounted = MountedGateway(server_thread, limits, store=store)
    own = key_of(MASTER_KEY)
    keys = {
        MASTER_KEY: own,
        ROTATED_KEY: replace(key_of(ROTATED_KEY), owner=own.owner),
        OTHER_KEY: key_of(OTHER_KEY),
    }
    mounted.publish(provider(vllm.url), keys=keys)
    yield mounted
    mounted.on_loop(store.stop())
    mounted.close()
