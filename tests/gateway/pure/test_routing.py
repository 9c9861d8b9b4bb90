"""Selectors: which server and which of its models a name leads to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UnknownModel, UnsupportedEndpoint
from gateway.missing_routes import MissingRoutes
from gateway.routing import Target, candidates, route, unsupported, way
from providers.snapshot import ProviderEntry, Snapshot, public_id
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


# Ways

CHAT, NATIVE, BARE = "/v1/chat/completions", "/v1/responses", "/rerank"
ON_A = provider("a", "m", "own", routes=frozenset({CHAT}))
ON_B = provider("b", "m", routes=frozenset({CHAT, NATIVE}))
ON_C = provider("c", "m", "silent")
NO_ROUTES = provider("d", "none", routes=frozenset())


@pytest.mark.parametrize(
    ("selector", "servers", "paths", "name", "path"),
    [
        ("m", [ON_A], [CHAT], "a", CHAT),
        ("m", [ON_A, ON_B], [CHAT], "a", CHAT),
        ("m", [ON_A, ON_B], [NATIVE, CHAT], "b", NATIVE),  # natively elsewhere before translated
        ("a/m", [ON_A, ON_B], [NATIVE, CHAT], "a", CHAT),  # the selector says where
        ("m", [ON_A, ON_C], [NATIVE, CHAT], "c", NATIVE),  # it does not say that it has not
        ("own", [ON_A, ON_B], [NATIVE, CHAT], "a", CHAT),
        ("vllm/m", [ON_A, ON_B], [NATIVE], "b", NATIVE),
    ],
)
def test_a_call_goes_by_the_first_path_that_one_of_its_servers_has(
    selector, servers, paths, name, path
):
    found = way(selector, snapshot(*servers), paths, MissingRoutes().lacks)
    assert (found.target.provider.name, found.path) == (name, path)


def test_a_route_that_turned_out_to_be_missing_is_not_taken_again():
    missing, known = MissingRoutes(), snapshot(ON_A, ON_C)
    missing.note(ON_C, NATIVE)
    found = way("m", known, [NATIVE, CHAT], missing.lacks)
    assert (found.target.provider.name, found.path) == ("a", CHAT)


def test_a_model_that_is_nowhere_is_unknown_whatever_the_path():
    with pytest.raises(UnknownModel):
        way("nope", snapshot(ON_A), [NATIVE], MissingRoutes().lacks)


@pytest.mark.parametrize(
    ("selector", "entry", "told"),
    [
        ("m", ON_A, " It has /v1/chat/completions."),
        ("a/m", ON_A, " It has /v1/chat/completions."),
        ("none", NO_ROUTES, "of another kind."),
        (
            "r",
            provider("r", "r", routes=frozenset({BARE, "/sleep", "/v1/rerank"})),
            " It has /rerank, /v1/rerank.",
        ),
    ],
)
def test_a_model_whose_servers_lack_every_path_is_told_with_what_they_have(selector, entry, told):
    with pytest.raises(UnsupportedEndpoint) as caught:
        way(selector, snapshot(entry), ["/v1/audio/translations", NATIVE], MissingRoutes().lacks)
    assert (caught.value.status, caught.value.param) == (400, "model")
    assert "does not serve /v1/audio/translations" in str(caught.value)
    assert str(caught.value).endswith(told)


def test_of_a_server_that_does_not_say_what_it_has_nothing_is_told():
    assert "It has" not in str(unsupported(Target(ON_C, "silent"), NATIVE))


@given(asked(), st.lists(st.sampled_from([CHAT, NATIVE, BARE]), min_size=1, unique=True))
def test_a_way_is_by_a_path_that_is_asked_for_to_a_candidate_that_has_it(question, paths):
    known, selector = question

    def lacks(entry: ProviderEntry, path: str) -> bool:
        return (len(entry.name) + len(path)) % 2 == 0

    targets = list(candidates(selector, known))
    ways = [(path, target) for path in paths for target in targets]
    expected = next((pair for pair in ways if not lacks(pair[1].provider, pair[0])), None)
    if expected is not None:
        found = way(selector, known, paths, lacks)
        assert (found.path, found.target) == expected
    else:
        with pytest.raises(UnsupportedEndpoint if targets else UnknownModel):
            way(selector, known, paths, lacks)
