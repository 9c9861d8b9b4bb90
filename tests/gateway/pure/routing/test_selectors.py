"""Selectors: which server and which of its models a name leads to."""

from __future__ import annotations

import pytest
from hypothesis import given

from gateway.errors import ModelsUnknown, UnknownModel
from gateway.routing import Target, route, tiers
from providers.snapshot import Snapshot, TargetEntry, public_id
from tests.gateway.pure.snapshots import alias, asked, provider, snapshot, snapshots

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


def told(selector: str, known: Snapshot) -> list[list[tuple[str, str]]]:
    return [
        [(share.target.provider.name, share.target.model) for share in tier]
        for tier in tiers(selector, known)
    ]


def weighed(selector: str, known: Snapshot) -> list[dict[str, float]]:
    return [
        {share.target.provider.name: share.weight for share in tier}
        for tier in tiers(selector, known)
    ]


@given(asked())
def test_every_target_serves_its_model_and_none_comes_twice(question):
    known, selector = question
    found = [share.target for tier in tiers(selector, known) for share in tier]
    pairs = [(target.provider.name, target.model) for target in found]
    assert len(set(pairs)) == len(pairs)
    for target in found:
        assert target.provider is known.providers[target.provider.name]
        assert target.model in target.provider.models
        assert target.model in {selector, selector.partition("/")[2]}


def meant(selector: str, known: Snapshot) -> list[list[tuple[str, str]]]:
    """The rule as the documentation words it, without a thought of speed."""
    before, slash, after = selector.partition("/")
    everybody = known.providers.values()
    by_name = [(p.name, after) for p in everybody if slash and p.name == before]
    by_type = [(p.name, after) for p in everybody if slash and p.type == before != p.name]
    whole = [(p.name, selector) for p in everybody]
    by_name, by_type, whole = (
        [(name, model) for name, model in wanted if model in known.providers[name].models]
        for wanted in (by_name, by_type, whole)
    )
    return [tier for tier in (by_name, by_type) if tier] or [tier for tier in [whole] if tier]


@given(asked())
def test_targets_are_by_name_and_type_or_else_by_the_whole_id(question):
    known, selector = question
    assert told(selector, known) == meant(selector, known)


@given(asked())
def test_a_route_is_the_first_target_or_an_unknown_model(question):
    known, selector = question
    found = tiers(selector, known)
    assert all(found)
    if found:
        assert route(selector, known) == found[0][0].target
    else:
        with pytest.raises(UnknownModel):
            route(selector, known)


def test_only_the_first_reading_counts():
    """A server that knows another model by the whole text is not one more of the pool."""
    known = snapshot(provider("a", "m"), provider("b", "a/m"), provider("c", "m"))

    assert told("a/m", known) == [[("a", "m")]]
    assert told("vllm/m", known) == [[("a", "m"), ("c", "m")]]
    assert told("m", known) == [[("a", "m"), ("c", "m")]]


def test_behind_the_provider_whose_name_is_a_type_stand_the_others_of_the_type():
    known = snapshot(provider("vllm", "m"), provider("a", "m"), provider("z", "m", type="other"))

    assert told("vllm/m", known) == [[("vllm", "m")], [("a", "m")]]


def test_a_provider_whose_name_is_a_type_need_not_serve_the_model():
    known = snapshot(provider("vllm", "x"), provider("a", "m"), provider("b", "vllm/m"))

    assert told("vllm/m", known) == [[("a", "m")]]


def test_servers_of_one_model_have_their_own_weights():
    known = snapshot(provider("a", "m"), provider("b", "m", weight=3.0))

    assert weighed("m", known) == [{"a": 1.0, "b": 3.0}]


# Aliases

ALIASED = (
    provider("a", "m", "n"),
    provider("b", "m", weight=3.0),
    provider("c", "n"),
)


def test_a_target_may_name_its_provider_or_be_taken_anywhere():
    known = snapshot(*ALIASED, aliases=[alias("chat", ["b:m"], ["n"])])

    assert told("chat", known) == [[("b", "m")], [("a", "n"), ("c", "n")]]


def test_the_servers_of_one_target_share_its_weight():
    """Each by its own: so a target weighs as much with ten servers as with one."""
    tier = [TargetEntry("", "m", 8.0), TargetEntry("c", "n", 2.0)]
    known = snapshot(*ALIASED, aliases=[alias("chat", tier)])

    assert weighed("chat", known) == [{"a": 2.0, "b": 6.0, "c": 2.0}]


def test_a_server_that_two_targets_lead_to_has_both_their_weights():
    tier = [TargetEntry("", "m", 4.0), TargetEntry("a", "m", 2.0)]
    known = snapshot(*ALIASED, aliases=[alias("chat", tier)])

    assert weighed("chat", known) == [{"a": 3.0, "b": 3.0}]


def test_a_server_may_stand_in_a_tier_by_two_models():
    known = snapshot(*ALIASED, aliases=[alias("chat", ["a:m", "a:n"])])

    assert told("chat", known) == [[("a", "m"), ("a", "n")]]


def test_what_nobody_serves_is_left_out_and_empty_tiers_are_skipped():
    tiers_ = [["gone:m", "c:m"], ["nope"], ["nope", "c:n"], ["m"]]
    known = snapshot(*ALIASED, aliases=[alias("chat", *tiers_)])

    assert told("chat", known) == [[("c", "n")], [("a", "m"), ("b", "m")]]


@pytest.mark.parametrize("name", ["m", "a/m", "vllm/m"])
def test_an_alias_shadows_a_model_of_its_name(name):
    known = snapshot(*ALIASED, aliases=[alias(name, ["c:n"])])

    assert told(name, known) == [[("c", "n")]]


def test_a_target_is_no_selector():
    """It is a provider and a model: an alias of the model's name does not stand before it."""
    known = snapshot(*ALIASED, aliases=[alias("n", ["b:m"]), alias("chat", ["n"])])

    assert told("chat", known) == [[("a", "n"), ("c", "n")]]


@pytest.mark.parametrize("name", ["chat", "m"])
def test_an_alias_that_leads_nowhere_is_unknown_even_if_it_shadows(name):
    known = snapshot(*ALIASED, aliases=[alias(name, ["nope"], ["gone:m"], [])])

    assert tiers(name, known) == []
    with pytest.raises(UnknownModel):
        route(name, known)


# Aliases by pattern


@pytest.mark.parametrize("name", ["claude-haiku-4-5", "claude-", "claude-a/b", "claude-*"])
def test_a_name_that_a_pattern_matches_leads_where_its_alias_does(name):
    known = snapshot(*ALIASED, aliases=[alias("claude-*", ["b:m"], ["n"])])

    assert told(name, known) == [[("b", "m")], [("a", "n"), ("c", "n")]]


@pytest.mark.parametrize("name", ["claude", "xclaude-", "Claude-x", ""])
def test_a_name_that_no_pattern_matches_is_unknown(name):
    known = snapshot(*ALIASED, aliases=[alias("claude-*", ["m"])])

    with pytest.raises(UnknownModel):
        route(name, known)


@pytest.mark.parametrize("name", ["m", "a/m", "vllm/m", "chat"])
def test_a_catch_all_stands_before_nothing_that_is_served_or_an_alias(name):
    named = alias("chat", ["a:m"])
    known = snapshot(*ALIASED, aliases=[alias("*", ["c:n"]), named])

    assert told(name, known) == told(name, snapshot(*ALIASED, aliases=[named]))
    assert told("anything", known) == [[("c", "n")]]


@given(asked())
def test_a_catch_all_takes_exactly_what_means_nothing_else(question):
    known, selector = question
    whole = snapshot(
        *known.providers.values(),
        provider("last", "of-last"),
        aliases=[alias("*", ["last:of-last"])],
    )
    without = snapshot(*whole.providers.values())

    assert told(selector, whole) == (told(selector, without) or [[("last", "of-last")]])


def test_an_alias_of_a_name_hides_it_from_patterns_even_if_it_leads_nowhere():
    known = snapshot(*ALIASED, aliases=[alias("claude-*", ["m"]), alias("claude-x", ["nope"])])

    assert tiers("claude-x", known) == []


def test_the_nearest_pattern_decides_even_if_it_leads_nowhere():
    known = snapshot(*ALIASED, aliases=[alias("claude-*", ["m"]), alias("claude-x*", ["nope"])])

    assert tiers("claude-x1", known) == []
    with pytest.raises(UnknownModel, match="'claude-x1'"):
        route("claude-x1", known)


def test_a_provider_that_has_never_said_what_it_serves_keeps_its_names_from_patterns():
    silent = provider("new", models_known=False)
    known = snapshot(*ALIASED, silent, aliases=[alias("*", ["m"])])

    with pytest.raises(ModelsUnknown, match="'new'"):
        route("new/m", known)
    assert told("a/nope", known) == told("nope", known) == [[("a", "m"), ("b", "m")]]


def test_a_pattern_is_not_listed():
    known = snapshot(*ALIASED, aliases=[alias("claude-*", ["m"]), alias("chat", ["m"])])

    assert [id for id in known.cards if id not in snapshot(*ALIASED).cards] == ["chat"]


# What is listed, and what is told


@given(snapshots())
def test_every_public_id_leads_to_exactly_its_own_provider_and_model(known):
    for entry in known.providers.values():
        for model in entry.models:
            card = known.cards[public_id(entry.name, model)]
            assert (card["id"], card["owned_by"]) == (public_id(entry.name, model), entry.name)
            assert route(public_id(entry.name, model), known) == Target(entry, model)


@given(snapshots())
def test_every_other_listed_id_leads_to_all_servers_that_know_a_model_by_it(known):
    public = {public_id(e.name, model) for e in known.providers.values() for model in e.models}
    for id in known.cards.keys() - public:
        [tier] = tiers(id, known)
        serving = [entry for entry in known.providers.values() if id in entry.models]
        assert [share.target for share in tier] == [Target(entry, id) for entry in serving]
        assert (known.cards[id]["id"], known.cards[id]["owned_by"]) == (id, serving[0].type)


@given(snapshots())
def test_no_id_that_means_a_pool_is_missing(known):
    for entry in known.providers.values():
        for model in entry.models:
            found = tiers(model, known)
            means_itself = {share.target.model for tier in found for share in tier} == {model}
            assert (model in known.cards) or not means_itself


@given(snapshots())
def test_the_listing_is_sorted_by_rank(known):
    assert list(known.cards) == sorted(known.cards, key=known.rank)


def test_an_unknown_model_is_repeated_in_part_only():
    with pytest.raises(UnknownModel) as caught:
        route("x" * 10_000, FLEET)
    assert len(str(caught.value)) < 400
