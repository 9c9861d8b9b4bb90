"""A server may serve other models by now: whoever notices has it asked at once, and not too often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from providers import discovery
from providers.background import Background
from providers.catalog import Catalog
from providers.homes import NOTHING_USED
from providers.key_use import KeyUse
from providers.models import Provider
from providers.observed import Lookout
from providers.probing import Prober
from providers.rechecks import Rechecks
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.processes import eventually
from tests.providers.rounds import ROUNDS
from tests.scripted_vllm import ScriptedVllm
from tests.scripting import json_answer

pytestmark = pytest.mark.django_db(transaction=True)


class Asking:
    """A running Background that asks of its own accord once and no more, and what it knows."""

    def __init__(self, **options: Any) -> None:
        self.catalog, self.rechecks = Catalog(), Rechecks()
        prober = Prober(
            self.catalog,
            Lookout(),
            lambda: {},
            lambda: NOTHING_USED,
            discovery.fetch(),
            probe_seconds=NEVER_SECONDS,
            lease_seconds=NEVER_SECONDS,
        )
        usual = {"discovery_seconds": NEVER_SECONDS, "rounds": ROUNDS, "rechecks": self.rechecks}
        given = {**usual, **options}
        self.background = Background(self.catalog, KeyUse(), prober, **given)

    def models(self, name: str = "a") -> list[str]:
        provider = self.catalog.current().providers.get(name)
        return [] if provider is None else list(provider.models)

    def comes_to_know(self, *models: str, name: str = "a") -> None:
        eventually(lambda: self.models(name) == list(models))


@pytest.fixture
def begin() -> Iterator[Callable[..., Asking]]:
    begun: list[Asking] = []

    def start(**options: Any) -> Asking:
        begun.append(Asking(**options))
        begun[-1].background.start()
        return begun[-1]

    yield start
    for asking in begun:
        asking.background.stop(PATIENCE_SECONDS)


def add(vllm: ScriptedVllm, name: str = "a") -> Provider:
    return Provider.objects.create(name=name, base_url=vllm.url)


def test_a_server_that_serves_another_model_by_now_is_asked_at_once(begin, vllm):
    row, asking = add(vllm), begin()
    asking.comes_to_know(*vllm.models)
    vllm.models = ["another"]

    asking.rechecks.want(row.pk)

    asking.comes_to_know("another")


def test_a_server_is_asked_again_where_the_news_come_while_it_is_asked(begin, vllm):
    """The answer that is on its way may be older than the news."""
    row = add(vllm)
    old = json_answer(200, {"object": "list", "data": [{"id": "old"}]})
    vllm.discovery.will_send(old[:-1], old[-1:], pause_seconds=0.3)
    asking = begin()
    eventually(lambda: vllm.discoveries)
    vllm.models = ["new"]

    asking.rechecks.want(row.pk)

    asking.comes_to_know("new")


def test_a_server_is_asked_only_so_often_however_often_that_is_wanted(begin, vllm):
    with ScriptedVllm() as other:
        row, control = add(vllm), add(other, "b")
        asking = begin(recheck_seconds=NEVER_SECONDS)
        asking.comes_to_know(*vllm.models)
        asking.comes_to_know(*other.models, name="b")
        for _ in range(100):
            asking.rechecks.want(row.pk)
        added = add(other, "c")  # asked in a later round than what is wanted would have been
        asking.comes_to_know(*other.models, name="c")

        assert len(vllm.discoveries) == 1
        assert control.pk != added.pk


def test_a_server_that_failed_is_asked_before_its_time(begin, vllm):
    """As when probes find it well again, long after it went."""
    row = add(vllm)
    vllm.discovery.will_answer(503)
    asking = begin(recheck_seconds=0.0)
    eventually(lambda: vllm.discoveries)

    asking.rechecks.want(row.pk)

    asking.comes_to_know(*vllm.models)


def test_a_provider_that_is_gone_is_forgotten(begin, vllm):
    row, asking = add(vllm), begin()
    asking.comes_to_know(*vllm.models)
    gone = row.pk
    row.delete()
    eventually(lambda: not asking.catalog.current().providers)

    asking.rechecks.want(gone)

    eventually(lambda: not asking.rechecks.is_wanted(gone))


def test_a_recheck_that_is_wanted_after_the_end_does_nothing(begin, vllm):
    row, asking = add(vllm), begin()
    asking.comes_to_know(*vllm.models)
    assert asking.background.stop(PATIENCE_SECONDS)

    asking.rechecks.want(row.pk)
