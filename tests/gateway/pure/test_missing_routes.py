"""Which routes servers lack: as they say themselves, as was seen, or as is set."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.endpoints import TABLE
from gateway.missing_routes import MOST_REMEMBERED, REMEMBERED_SECONDS, MissingRoutes
from providers.addresses import Address
from tests.gateway.pure.snapshots import provider

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
COUNT = "/v1/messages/count_tokens"
SILENT = provider("a", "m")
"""It does not say which routes it has."""


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_of_a_server_that_does_not_say_nothing_is_known_to_lack():
    assert not MissingRoutes().lacks(SILENT, CHAT)


@pytest.mark.parametrize(
    ("routes", "path", "lacks"),
    [
        ({CHAT}, CHAT, False),
        ({CHAT}, RESPONSES, True),
        ({CHAT, RESPONSES}, RESPONSES, False),
        (set(), CHAT, True),
    ],
)
def test_a_server_lacks_what_it_does_not_name(routes, path, lacks):
    assert MissingRoutes().lacks(provider("a", "m", routes=frozenset(routes)), path) is lacks


@pytest.mark.parametrize(
    ("path", "lacks"),
    [(CHAT, False), ("/tokenize", False), (RESPONSES, True), (MESSAGES, True), (COUNT, True)],
)
@pytest.mark.parametrize(
    "routes", [None, frozenset({CHAT, "/tokenize", RESPONSES, MESSAGES, COUNT})]
)
def test_a_server_that_is_always_translated_for_is_not_called_in_these_dialects(
    path, lacks, routes
):
    entry = provider("a", "m", routes=routes, translation="always")
    assert MissingRoutes().lacks(entry, path) is lacks


def test_what_is_translated_on_request_has_another_way():
    """Otherwise a setting would make a route vanish."""
    ways = {row.upstream_paths for row in TABLE if row.upstream_paths[:1] and row.path in
            (RESPONSES, MESSAGES, COUNT)}  # fmt: skip
    assert all(len(paths) > 1 for paths in ways)


def test_what_turned_out_to_be_missing_is_remembered_for_a_while():
    clock = Clock()
    missing = MissingRoutes(clock)

    missing.note(SILENT, RESPONSES)
    at_once = missing.lacks(SILENT, RESPONSES)
    clock.seconds += REMEMBERED_SECONDS - 0.001
    just_before = missing.lacks(SILENT, RESPONSES)
    clock.seconds += 0.002
    after = missing.lacks(SILENT, RESPONSES)

    assert (at_once, just_before, after) == (True, True, False)


def test_it_is_remembered_anew_when_it_is_seen_anew():
    clock = Clock()
    missing = MissingRoutes(clock)
    missing.note(SILENT, RESPONSES)

    clock.seconds += REMEMBERED_SECONDS
    missing.note(SILENT, RESPONSES)
    clock.seconds += REMEMBERED_SECONDS - 1

    assert missing.lacks(SILENT, RESPONSES)


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        (SILENT, MESSAGES),
        (provider("b", "m"), RESPONSES),
        (replace(SILENT, address=Address("http://elsewhere:8000")), RESPONSES),
    ],
)
def test_it_says_nothing_of_another_route_server_or_address(entry, path):
    missing = MissingRoutes()
    missing.note(SILENT, RESPONSES)

    assert not missing.lacks(entry, path)


def test_a_server_that_is_asked_again_is_the_same_one():
    missing = MissingRoutes()
    missing.note(SILENT, RESPONSES)

    assert missing.lacks(replace(SILENT, models={"m": {}, "adapter": {}}), RESPONSES)


def test_only_so_much_is_remembered():
    missing = MissingRoutes()
    for number in range(MOST_REMEMBERED + 1):
        missing.note(SILENT, f"/{number}")

    assert len(missing._until) <= MOST_REMEMBERED
    assert missing.lacks(SILENT, f"/{MOST_REMEMBERED}")


@given(st.lists(st.sampled_from([CHAT, RESPONSES, MESSAGES]), max_size=5))
def test_exactly_what_was_noted_is_lacked(noted):
    missing = MissingRoutes()
    for path in noted:
        missing.note(SILENT, path)

    for path in (CHAT, RESPONSES, MESSAGES):
        assert missing.lacks(SILENT, path) is (path in noted)


def test_what_is_seen_again_and_again_is_nothing_new():
    """Clients can have any route asked for, and with each version all pools are worked out anew."""
    clock = Clock()
    missing = MissingRoutes(clock)
    missing.note(SILENT, RESPONSES)
    version = missing.version

    clock.seconds += REMEMBERED_SECONDS - 1
    missing.note(SILENT, RESPONSES)
    assert missing.version == version

    clock.seconds += REMEMBERED_SECONDS
    assert missing.version != version
    assert not missing.lacks(SILENT, RESPONSES)


def test_the_version_changes_when_something_is_learnt_or_forgotten():
    clock = Clock()
    missing = MissingRoutes(clock)
    at_first = missing.version

    missing.note(SILENT, RESPONSES)
    noted = missing.version
    clock.seconds += REMEMBERED_SECONDS / 2
    missing.note(SILENT, MESSAGES)
    both = missing.version
    clock.seconds += REMEMBERED_SECONDS / 2
    one_forgotten = missing.version
    clock.seconds += REMEMBERED_SECONDS / 2
    all_forgotten = missing.version

    assert len({at_first, noted, both, one_forgotten, all_forgotten}) == 5
    assert missing._until == {}


def test_it_stays_while_nothing_changes():
    clock = Clock()
    missing = MissingRoutes(clock)
    missing.note(SILENT, RESPONSES)
    noted = missing.version

    clock.seconds += REMEMBERED_SECONDS - 0.001

    assert missing.version == noted == missing.version


def test_a_route_is_found_again_just_when_the_version_says_so():
    """Else a pool would be kept that was made while the route was still lacking."""
    clock = Clock()
    missing = MissingRoutes(clock)
    missing.note(SILENT, RESPONSES)
    noted = missing.version

    clock.seconds += REMEMBERED_SECONDS

    assert missing.version != noted
    assert not missing.lacks(SILENT, RESPONSES)


def test_a_server_that_serves_another_model_now_is_asked_anew():
    routes = MissingRoutes()
    routes.note(SILENT, RESPONSES)

    restarted = replace(SILENT, models=provider("a", "another").models)

    assert routes.lacks(SILENT, RESPONSES)
    assert not routes.lacks(restarted, RESPONSES)
