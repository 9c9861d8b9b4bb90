"""Gateways that keep responses, on the database of the suite; each two of them as two processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.client import Limits
from gateway.runs import Pace
from gateway.state.spool import Spool
from gateway.state.store import Store
from gateway.state.values import StateLimits
from providers.snapshot import KeyEntry, ProviderEntry
from tests.gateway.responses.making import NATIVE, OTHER_KEY, TRANSLATED
from tests.gateway.state.stores import PATIENT
from tests.mounted import MASTER_KEY, MountedGateway, key_of, provider
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.scripted_vllm import ScriptedVllm
from tests.serving import ServerThread

Mount = Callable[..., MountedGateway]
QUICK = Pace(
    batch_seconds=0.02,
    beat_seconds=0.02,
    linger_seconds=NEVER_SECONDS,
    finish_pauses_seconds=(0.02,) * int(PATIENCE_SECONDS / 0.02),
    stop_seconds=PATIENCE_SECONDS,
    poll_seconds=0.02,
    cancel_seconds=NEVER_SECONDS,
    cancel_poll_seconds=0.01,
)
"""Nothing that a test waits for takes long, and nothing is given up on a slow machine."""


@pytest.fixture(params=[NATIVE, TRANSLATED])
def way(request: pytest.FixtureRequest) -> str:
    """Whether the server knows the Responses API."""
    name: str = request.param
    return name


@pytest.fixture
def keys() -> dict[str, KeyEntry]:
    """The same for every gateway of a test: what is kept belongs to them."""
    return {MASTER_KEY: key_of(MASTER_KEY), OTHER_KEY: key_of(OTHER_KEY)}


@pytest.fixture
def state_limits() -> StateLimits:
    return PATIENT


@pytest.fixture
def most_stored_bytes() -> int:
    """Of one owner; 0: without a limit."""
    return 0


@pytest.fixture
def spool() -> Spool | None:
    """Of every gateway of a test; None: what waits, waits in memory."""
    return None


@pytest.fixture
def mount(  # noqa: PLR0917 - fixtures come by name
    server_thread: ServerThread,
    vllm: ScriptedVllm,
    limits: Limits,
    keys: dict[str, KeyEntry],
    state_limits: StateLimits,
    most_stored_bytes: int,
    spool: Spool | None,
    transactional_db: Any,
) -> Iterator[Mount]:
    """`mount(*providers)` is a gateway of its own on the shared database. It ends before `vllm`."""
    mounted: list[MountedGateway] = []

    def mount_one(*providers: ProviderEntry, **options: Any) -> MountedGateway:
        store = Store(30, state_limits, most_bytes_per_owner=most_stored_bytes, spool=spool)
        gateway = MountedGateway(server_thread, limits, store=store, **{"pace": QUICK, **options})
        gateway.publish(*providers, keys=keys)
        mounted.append(gateway)
        for each in mounted:
            each.is_alone = len(mounted) == 1
        return gateway

    yield mount_one
    for gateway in mounted:  # on one loop: none is idle before all are
        gateway.stop_runs()
        gateway.on_loop(gateway.store.stop(1.0))
    for gateway in mounted:
        gateway.close()


def server(
    vllm: ScriptedVllm, way: str = NATIVE, name: str = "alpha", **settings: Any
) -> ProviderEntry:
    translation = "auto" if way == NATIVE else "always"
    return provider(vllm.url, name, translation=translation, **settings)


@pytest.fixture
def native(mount: Mount, vllm: ScriptedVllm) -> MountedGateway:
    """Knows `vllm` as `alpha`, which has the Responses API."""
    return mount(server(vllm))


@pytest.fixture
def stateful(mount: Mount, vllm: ScriptedVllm, way: str) -> MountedGateway:
    """Knows `vllm` as `alpha`, which is spoken to in each `way`."""
    return mount(server(vllm, way))
