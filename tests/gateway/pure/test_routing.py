"""Selectors: which server and which of its models a name leads to."""

from __future__ import annotations

import pytest
from hypothesis import given

from gateway.errors import UnknownModel
from gateway.routing import Target, candidates, route
from providers.snapshot import Snapshot, public_id
from tests.gateway.pure.snapshots import asked, provider, snapshot, snapshots

FLEET = snapshot(
    provider("b", "vllm/foo", "a/own", "only-on-b"),
    provider("vllm", "Y", "shared", "meta-llama/own"),
    provider("vllm-test", "meta-llama/X", "shared"),
    provider("elsewhere", "meta-llama/X", "shared", type="other"),
)


@pytest.mark.parametrize(
    ("selector", "name", "model"),
    [
        ("vllm-test/meta-llama/X", "vllm-test", "meta-llama/X"),
        ("vllm/meta-llama/X", "vllm-test", "meta-llama/X"),  # `vllm` is a type too
        ("vllm/meta-llama/own", "vllm", "meta-llama/own"),
        ("other/meta-llama/X", "elsewhere", "meta-llama/X"),
        ("b/vllm/foo", "b", "vllm/foo"),
        ("vllm/foo", "b", "vllm/foo"),  # no `foo` on any vLLM server, so the whole is the id
        ("a/own", "b", "a/own"),
        ("meta-llama/X", "elsewhere", "meta-llama/X"),  # the first by name
        ("shared", "elsewhere", "shared"),
        ("vllm/shared", "vllm", "shared"),
        ("only-on-b", "b", "only-on-b"),
        ("vllm/only-on-b", "b", "only-on-b"),
    ],
)
def test_a_selector_leads_to_its_server_and_the_id_that_server_knows(selector, name, model):
    target = route(selector, FLEET)
    assert (target.provider.name, target.model) == (name, model)


@pytest.mark.parametrize(
    "selector",
    ["", "/", "vllm", "vllm/", "/Y", "//", "vllm-test", "vllm-test/Y", "VLLM/Y", "vllm/y", "vllm//Y",
     " Y", "b/foo", "other/Y", "foo", "b/b/vllm/foo"],
)  # fmt: skip
def test_what_nobody_serves_is_an_unknown_model(selector):
    with pytest.raises(UnknownModel) as caught:
        route(selector, FLEET)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
    assert repr(selector) in str(caught.value)


def test_a_model_is_not_found_at_a_provider_that_is_not_in_the_snapshot():
    with pytest.raises(UnknownModel):
        route("vllm/meta-llama/X", snapshot())


@given(asked())
def test_every_candidate_serves_its_model_and_none_comes_twice(question):
    known, selector = question
    found = list(candidates(selector, known))
    pairs = [(target.provider.name, target.model) for target in found]
    assert len(set(pairs)) == len(pairs)
    for target in found:
        assert target.provider is known.providers[target.provider.name]
        assert target.model in target.provider.models
        assert target.model in {selector, selector.partition("/")[2]}


def meant(selector: str, known: Snapshot) -> list[tuple[str, str]]:
    """The rule as the documentation words it, without a thought of speed."""
    before, slash, after = selector.partition("/")
    by_name = [(p.name, after) for p in known.providers.values() if slash and p.name == before]
    by_type = [(p.name, after) for p in known.providers.values() if slash and p.type == before]
    whole = [(p.name, selector) for p in known.providers.values()]
    wanted = dict.fromkeys([*by_name, *by_type, *whole])  # unique, in this order
    return [(name, model) for name, model in wanted if model in known.providers[name].models]


@given(asked())
def test_candidates_are_by_name_then_by_type_then_by_the_whole_id(question):
    known, selector = question
    found = [(target.provider.name, target.model) for target in candidates(selector, known)]
    assert found == meant(selector, known)


@given(asked())
def test_a_route_is_the_first_candidate_or_an_unknown_model(question):
    known, selector = question
    first = next(candidates(selector, known), None)
    if first is not None:
        assert route(selector, known) == first
    else:
        with pytest.raises(UnknownModel):
            route(selector, known)


@given(snapshots())
def test_every_listed_id_leads_to_exactly_its_own_provider_and_model(known):
    for entry in known.providers.values():
        for model in entry.models:
            assert public_id(entry.name, model) in known.cards
            assert route(public_id(entry.name, model), known) == Target(entry, model)
    assert len(known.cards) == sum(len(entry.models) for entry in known.providers.values())


@given(snapshots())
def test_the_listing_is_sorted_and_each_card_says_whose_it_is(known):
    assert list(known.cards) == sorted(known.cards)
    for public, card in known.cards.items():
        assert (card["id"], card["owned_by"]) == (public, public.partition("/")[0])


def test_an_unknown_model_is_repeated_in_part_only():
    with pytest.raises(UnknownModel) as caught:
        route("x" * 10_000, FLEET)
    assert len(str(caught.value)) < 400
