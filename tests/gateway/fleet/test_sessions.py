"""What of a server's calls is a session's own."""

from __future__ import annotations

from math import e

import pytest

from gateway.fleet.sessions import MOST_SERVERS, MOST_SESSIONS, Sessions
from gateway.fleet.sight import RECENT_SECONDS
from tests.gateway.fleet.servers import server, sight_of

NOW = 1000.0
A, B = sight_of(server("a")), sight_of(server("b"))


def test_its_calls_at_each_server_count_less_with_time():
    sessions = Sessions()
    for sight, at in ((A, NOW), (A, NOW + RECENT_SECONDS), (B, NOW + RECENT_SECONDS)):
        sessions.note(7, sight, at)

    own = dict(sessions.own(7, NOW + RECENT_SECONDS))

    assert own == {A: pytest.approx(1 + 1 / e), B: 1.0}


def test_of_a_session_that_sent_nothing_there_is_nothing():
    sessions = Sessions()
    sessions.note(7, A, NOW)
    assert list(sessions.own(7 + MOST_SESSIONS, NOW)) == list(sessions.own(8, NOW)) == []


def test_the_last_of_those_in_a_slot_is_known():
    sessions = Sessions()
    for key in (7, 7, 7 + MOST_SESSIONS):
        sessions.note(key, A, NOW)

    assert list(sessions.own(7, NOW)) == []
    assert list(sessions.own(7 + MOST_SESSIONS, NOW)) == [(A, 1.0)]


def test_only_the_last_servers_of_a_session_are_kept():
    sessions, sights = Sessions(), [sight_of(server(f"s{n}")) for n in range(MOST_SERVERS + 1)]
    for sight in (*sights[:-1], sights[0], sights[-1]):
        sessions.note(7, sight, NOW)

    assert {sight for sight, _ in sessions.own(7, NOW)} == set(sights) - {sights[1]}
