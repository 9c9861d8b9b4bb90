"""Pools: the ways of a selector, tier by tier, and for how long they are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UnknownModel, UnsupportedEndpoint
from gateway.missing_routes import REMEMBERED_SECONDS, MissingRoutes
from gateway.routing import Pool, Pools, Settings, Target, pool, tiers, unsupported
from gateway.routing.distances import Distances, seed
from gateway.routing.pools import MOST_POOLS
from providers.snapshot import ProviderEntry, TargetEntry
from tests.gateway.pure.snapshots import alias, asked, provider, snapshot

CHAT, NATIVE, BARE = "/v1/chat/completions", "/v1/responses", "/rerank"
ON_A = provider("a", "m", "own", routes=frozenset({CHAT}))
ON_B = provider("b", "m", routes=frozenset({CHAT, NATIVE}))
ON_C = provider("c", "m", "silent")
NO_ROUTES = provider("d", "none", routes=frozenset())
SETTINGS = Settings(policy="random", queue_calls=7, queue_seconds=3.5)


def told(found: Pool) -> list[list[tuple[str, str]]]:
    return [[(way.provider.name, way.path) for way in tier.ways] for tier in found.tiers]


@pytest.mark.parametrize(
    ("selector", "servers", "paths", "expected"),
    [
        ("m", [ON_A], [CHAT], [[("a", CHAT)]]),
        ("m", [ON_A, ON_B], [CHAT], [[("a", CHAT), ("b", CHAT)]]),
        # natively elsewhere before translated
        ("m", [ON_A, ON_B], [NATIVE, CHAT], [[("b", NATIVE)], [("a", CHAT)]]),
        ("a/m", [ON_A, ON_B], [NATIVE, CHAT], [[("a", CHAT)]]),  # the selector says where
        # it does not say that it has not
        ("m", [ON_A, ON_C], [NATIVE, CHAT], [[("c", NATIVE)], [("a", CHAT)]]),
        ("own", [ON_A, ON_B], [NATIVE, CHAT], [[("a", CHAT)]]),
        ("vllm/m", [ON_A, ON_B], [NATIVE], [[("b", NATIVE)]]),
    ],
)
def test_each_server_is_called_by_the_first_path_that_it_has(selector, servers, paths, expected):
    found = pool(selector, snapshot(*servers), paths, MissingRoutes().lacks, SETTINGS)
    assert told(found) == expected


def test_a_tier_of_an_alias_is_left_only_after_its_translated_ways():
    known = snapshot(ON_A, ON_B, ON_C, aliases=[alias("chat", ["a:m", "b:m"], ["c:m"])])
    found = pool("chat", known, [NATIVE, CHAT], MissingRoutes().lacks, SETTINGS)
    assert told(found) == [[("b", NATIVE)], [("a", CHAT)], [("c", NATIVE)]]


def test_the_tiers_of_a_pool_have_names_of_their_own():
    """By them turns are taken, and a call that waited finds its tier again."""
    known = snapshot(ON_A, ON_B, ON_C, aliases=[alias("chat", ["a:m", "b:m"], ["b:m", "c:m"])])
    found = pool("chat", known, [NATIVE, CHAT], MissingRoutes().lacks, SETTINGS)
    names = [tier.name for tier in found.tiers]
    assert len(set(names)) == len(names) == 3


def test_a_tier_keeps_weights_distances_and_sums_beside_its_ways():
    tier = [TargetEntry("a", "m", 1.0), TargetEntry("b", "m", 4.0)]
    known = snapshot(ON_A, ON_B, aliases=[alias("chat", tier)])

    (found,) = pool("chat", known, [CHAT], MissingRoutes().lacks, SETTINGS).tiers

    assert (found.weights, found.sums) == ((1.0, 4.0), (1.0, 5.0))
    alike = Distances([seed(ON_A.id), seed(ON_B.id)], [1.0, 4.0])
    assert found.distances.of(7, range(2)) == alike.of(7, range(2))
    assert not found.is_even


def test_a_route_that_turned_out_to_be_missing_is_not_taken_again():
    missing = MissingRoutes()
    missing.note(ON_C, NATIVE)
    found = pool("m", snapshot(ON_A, ON_C), [NATIVE, CHAT], missing.lacks, SETTINGS)
    assert told(found) == [[("a", CHAT), ("c", CHAT)]]


def test_a_model_that_is_nowhere_is_unknown_whatever_the_path():
    with pytest.raises(UnknownModel):
        pool("nope", snapshot(ON_A), [NATIVE], MissingRoutes().lacks, SETTINGS)


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
    paths = ["/v1/audio/translations", NATIVE]
    with pytest.raises(UnsupportedEndpoint) as caught:
        pool(selector, snapshot(entry), paths, MissingRoutes().lacks, SETTINGS)
    assert (caught.value.status, caught.value.param) == (400, "model")
    assert "does not serve /v1/audio/translations" in str(caught.value)
    assert str(caught.value).endswith(told)


def test_of_a_server_that_does_not_say_what_it_has_nothing_is_told():
    assert "It has" not in str(unsupported(Target(ON_C, "silent"), NATIVE))


@given(asked(), st.lists(st.sampled_from([CHAT, NATIVE, BARE]), min_size=1, unique=True))
def test_each_target_is_there_once_by_the_first_path_it_has_and_no_tier_is_empty(question, paths):
    known, selector = question

    def lacks(entry: ProviderEntry, path: str) -> bool:
        return (len(entry.name) + len(path)) % 2 == 0

    found = tiers(selector, known)
    wanted = [
        [
            (share.target, path)
            for path in paths
            for share in tier
            if path == next((p for p in paths if not lacks(share.target.provider, p)), None)
        ]
        for tier in found
    ]
    flat = [pair for tier in wanted for pair in tier]
    if not flat:
        with pytest.raises(UnsupportedEndpoint if found else UnknownModel):
            pool(selector, known, paths, lacks, SETTINGS)
        return
    made = pool(selector, known, paths, lacks, SETTINGS)
    assert [(way.target, way.path) for tier in made.tiers for way in tier.ways] == flat
    assert all(tier.ways for tier in made.tiers)
    assert all(len({way.path for way in tier.ways}) == 1 for tier in made.tiers)


# Settings


def test_without_an_alias_the_installations_settings_hold():
    found = pool("m", snapshot(ON_A), [CHAT], MissingRoutes().lacks, SETTINGS)
    assert (found.policy, found.queue_calls, found.queue_seconds) == ("random", 7, 3.5)
    assert (found.says_asked_model, found.resumes) == (False, False)


def test_an_alias_that_says_nothing_has_them_too():
    known = snapshot(ON_A, aliases=[alias("chat", ["m"])])
    found = pool("chat", known, [CHAT], MissingRoutes().lacks, SETTINGS)
    assert (found.policy, found.queue_calls, found.queue_seconds) == ("random", 7, 3.5)


def test_an_aliass_settings_stand_before_them_even_where_they_are_nought():
    said = alias(
        "chat", ["m"], policy="least_loaded", queue_calls=0, queue_seconds=0.0,
        says_asked_model=True, resumes=True,
    )  # fmt: skip
    found = pool("chat", snapshot(ON_A, aliases=[said]), [CHAT], MissingRoutes().lacks, SETTINGS)
    assert (found.policy, found.queue_calls, found.queue_seconds) == ("least_loaded", 0, 0.0)
    assert (found.says_asked_model, found.resumes) == (True, True)


# For how long


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_pool_is_kept_while_nothing_changes():
    kept, known = Pools(SETTINGS, MissingRoutes()), snapshot(ON_A, ON_C)

    found = kept.find("m", known, (NATIVE, CHAT))

    assert kept.find("m", known, (NATIVE, CHAT)) is found
    assert kept.find("m", known, (CHAT,)) is not found
    assert kept.find("a/m", known, (NATIVE, CHAT)) is not found
    assert kept.find("m", known, (NATIVE, CHAT)) is found


def test_another_snapshot_makes_it_anew():
    kept = Pools(SETTINGS, MissingRoutes())
    kept.find("m", snapshot(ON_A), (CHAT,))

    assert told(kept.find("m", snapshot(ON_A, ON_C), (CHAT,))) == [[("a", CHAT), ("c", CHAT)]]
    with pytest.raises(UnknownModel):
        kept.find("m", snapshot(NO_ROUTES), (CHAT,))


def test_so_does_a_route_that_turns_out_to_be_missing_and_its_being_forgotten():
    clock = Clock()
    missing = MissingRoutes(clock)
    kept, known = Pools(SETTINGS, missing), snapshot(ON_C)
    before = told(kept.find("m", known, (NATIVE, CHAT)))

    missing.note(ON_C, NATIVE)
    noted = told(kept.find("m", known, (NATIVE, CHAT)))
    clock.seconds += REMEMBERED_SECONDS
    after = told(kept.find("m", known, (NATIVE, CHAT)))

    assert (before, noted, after) == ([[("c", NATIVE)]], [[("c", CHAT)]], [[("c", NATIVE)]])


def test_only_so_many_are_kept():
    models = [f"m-{number}" for number in range(MOST_POOLS + 1)]
    kept, known = Pools(SETTINGS, MissingRoutes()), snapshot(provider("a", *models))
    for model in models:
        assert kept.find(model, known, (CHAT,)).name == model
    assert 0 < len(kept._pools) <= MOST_POOLS


def test_all_names_that_a_pattern_matches_share_one_pool():
    """So they stand in one line, take turns together, and no client fills the memory with names."""
    known = snapshot(ON_A, ON_C, aliases=[alias("claude-*", ["m"], policy="least_loaded")])
    kept = Pools(SETTINGS, MissingRoutes())

    found = {kept.find(f"claude-{number}", known, (CHAT,)) for number in range(10)}

    [only] = found
    assert (only.name, only.policy) == ("claude-*", "least_loaded")
    assert [tier.name for tier in only.tiers] == [f"claude-*#1{CHAT}"]
    assert kept.find("claude-*", known, (CHAT,)) is only
    assert len(kept._pools) == 1


def test_a_model_that_a_pattern_matches_has_a_pool_of_its_own():
    known = snapshot(ON_A, ON_C, aliases=[alias("*", ["silent"], policy="least_loaded")])
    kept = Pools(SETTINGS, MissingRoutes())

    assert told(kept.find("anything", known, (CHAT,))) == [[("c", CHAT)]]
    assert told(kept.find("own", known, (CHAT,))) == [[("a", CHAT)]]
    assert kept.find("own", known, (CHAT,)).policy == SETTINGS.policy


def test_what_is_refused_is_not_kept():
    kept = Pools(SETTINGS, MissingRoutes())
    for number in range(10):
        with pytest.raises(UnknownModel):
            kept.find(f"nope-{number}", snapshot(ON_A), (CHAT,))
    assert kept._pools == {}
