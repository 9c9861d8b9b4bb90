"""A call that a server fails goes to no other once its key is over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers.snapshot import AliasEntry, TargetEntry
from tests.gateway.ended_keys import ENDS, OTHER_KEY, Keys
from tests.gateway.failover.conftest import NAME, Fleet
from tests.gateway.pure.resuming.telling import WORDS, Server
from tests.mounted import MASTER_KEY, MODEL, key_of
from tests.patience import PATIENCE_SECONDS
from tests.scripted_vllm import Received
from tests.scripting import Script, chunk_bytes, stream_head


def publish(fleet: Fleet, keys: Keys, **of_alias: Any) -> None:
    tiers = tuple((TargetEntry(name, MODEL),) for name in ("one", "two"))
    aliases = [AliasEntry(NAME, tiers, **of_alias)]
    fleet.gateway.publish(*fleet.entries.values(), keys=keys, aliases=aliases)


@pytest.fixture
def given() -> Keys:
    return {MASTER_KEY: key_of(MASTER_KEY), OTHER_KEY: key_of(OTHER_KEY)}


@ENDS
def test_a_call_that_fails_is_sent_to_no_other_server(
    fleet: Fleet, elsewhere: ThreadPoolExecutor, given: Keys, ended: Any
) -> None:
    publish(fleet, given)
    fleet.one.will_send(b"", then="reset", held_after=0)
    fails = elsewhere.submit(fleet.chat)
    fleet.one.wait_until_received(1)

    publish(fleet, ended(given))
    fleet.one.go_on()

    assert fails.result(PATIENCE_SECONDS).status >= 400
    assert fleet.calls == (1, 0)


@ENDS
def test_a_stream_that_breaks_off_is_finished_by_no_other_server(
    fleet: Fleet, elsewhere: ThreadPoolExecutor, given: Keys, ended: Any
) -> None:
    def some(call: Received) -> Script:
        events = Server("one", WORDS).stream(call.body)[:4]
        return Script((stream_head(), *map(chunk_bytes, events), b""), "close", held_after=5)

    publish(fleet, given, resumes=True)
    fleet.one.answers = some
    messages = [{"role": "user", "content": "Go."}]
    breaks = elsewhere.submit(fleet.chat, stream=True, messages=messages)
    fleet.gateway.wait_until_relaying()

    publish(fleet, ended(given), resumes=True)
    fleet.one.go_on()

    assert b'"error"' in breaks.result(PATIENCE_SECONDS).body
    assert fleet.calls == (1, 0)
