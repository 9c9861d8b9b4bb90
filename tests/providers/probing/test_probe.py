"""One look at a server, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from providers import catalog, discovery
from providers.models import Provider
from providers.probing import probe
from providers.probing.metrics import NO_LOAD, Load
from providers.probing.outcomes import Look, Silence
from tests.scripted_vllm import ScriptedVllm

pytestmark = pytest.mark.django_db


def look(url: str, key: str = "", **fields: object) -> Look:
    provider = Provider(name="a", base_url=url, **fields)
    if key:
        provider.api_key = key
    entry = catalog.provider_entry(provider)
    return asyncio.run(probe.look_at(entry, discovery.fetch()))


def test_a_healthy_server_tells_its_load(vllm: ScriptedVllm):
    vllm.load = (3, 2)

    found = look(vllm.url)

    assert (found.answer, found.load, found.text) == (200, Load(3, 2), "")
    assert 0 < found.seconds < probe.HEALTH_SECONDS
    assert [asked.path for asked in vllm.probes] == ["/health", "/metrics"]
    assert vllm.received == vllm.discoveries == []


def test_the_key_goes_along(vllm: ScriptedVllm):
    look(vllm.url, key="token-abc")

    sent = [asked.headers.get("authorization") for asked in vllm.probes]
    assert sent == ["Bearer token-abc"] * 2


def test_a_server_that_says_it_is_unwell_is_not_asked_for_its_load(vllm: ScriptedVllm):
    vllm.health.will_answer(503)

    assert look(vllm.url).answer == 503
    assert [asked.path for asked in vllm.probes] == ["/health"]


def test_a_server_may_keep_its_load_to_itself(vllm: ScriptedVllm):
    vllm.metrics.will_answer(404)
    assert look(vllm.url).load == NO_LOAD

    vllm.metrics.will_reset_before_answer()
    assert look(vllm.url).load == NO_LOAD


def test_nobody_there(vllm: ScriptedVllm):
    vllm.will_refuse()

    found = look(vllm.url)

    assert found.answer is Silence.UNREACHABLE
    assert "refused" in found.text


def test_a_server_that_resets_is_unreachable(vllm: ScriptedVllm):
    vllm.health.will_reset_before_answer()
    assert look(vllm.url).answer is Silence.UNREACHABLE


def test_a_server_that_stalls_is_late(vllm: ScriptedVllm, monkeypatch):
    monkeypatch.setattr(probe, "HEALTH_SECONDS", 0.2)
    vllm.health.will_stall()

    found = look(vllm.url)

    assert found.answer is Silence.LATE
    assert found.text in {"No answer within 0.2 s.", "No connection within 0.16 s."}


def test_a_key_that_cannot_be_opened_is_not_sent(vllm: ScriptedVllm):
    found = look(vllm.url, sealed_api_key="of another keyring")

    assert found.answer is Silence.UNASKED
    assert found.text
    assert vllm.probes == []
