"""What became of a call at one server: whether another is asked, and what is told of the server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import errors, failover, refusals
from gateway.errors import GatewayError
from gateway.failover import Visit
from gateway.fleet import Place, Sight
from gateway.fleet.breaker import MOST_IN_A_ROW, Breaker, Breaking
from gateway.refusals import Refused, Reworded
from gateway.routing import Target, Way
from tests.gateway.fleet.servers import sight_of
from tests.gateway.pure.snapshots import provider

NOW = 1000.0
PATIENT, EAGER = provider("a", "m"), provider("a", "m", repeats_after_timeout=True)


def refused(why: str, status: int = 503, after: bytes = b"") -> Refused:
    return Refused(why, status, [(b"retry-after", after)] if after else [], b"")


BUSY, FAILING = refused(refusals.BUSY, 429), refused(refusals.FAILING)
OF_THE_CALL = refused(refusals.OF_THE_CALL, 200)
STOPPED, LOST = refused(refusals.STOPPED, 200), refused(refusals.MISCONFIGURED, 404)


@pytest.mark.parametrize(
    ("error", "another", "eagerly", "again"),
    [
        (errors.UpstreamUnreachable("x"), True, True, True),
        (errors.UpstreamConnectTimeout("x"), True, True, True),
        (errors.UpstreamBroke("x"), True, True, True),
        (errors.UpstreamTimeout("x"), False, True, True),
        (errors.UpstreamRefusedKey("x"), True, True, False),
        (errors.UpstreamUnreadable("x"), False, False, True),
        (errors.UpstreamError("it redirects"), False, False, True),
        (Reworded(500, "x"), False, False, True),
        (Reworded(400, "x"), False, False, True),
        (errors.InvalidRequest("x"), False, False, True),
        (errors.StateUnavailable("x"), False, False, True),
        (BUSY, True, True, True),
        (FAILING, True, True, True),
        (STOPPED, True, True, True),
        (LOST, True, True, False),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, bool) else type(value).__name__,
)
def test_who_is_asked_after_which_error(error, another, eagerly, again):
    assert failover.asks_another(error, PATIENT) is another
    assert failover.asks_another(error, EAGER) is eagerly
    if another:
        assert failover.may_ask_again(error) is again


def test_each_pause_is_longer_and_never_the_same():
    for rounds, middle in enumerate((0.1, 0.2, 0.4)):
        pauses = {failover.pause_seconds(FAILING, rounds) for _ in range(50)}
        assert len(pauses) > 1
        assert all(pause is not None and middle / 2 <= pause <= middle * 1.5 for pause in pauses)


@pytest.mark.parametrize(
    ("after", "least"), [(b"1", 1.0), (b"2", 2.0), (b"3", None), (b"600", None), (b"soon", 0.05)]
)
def test_a_pause_is_as_long_as_the_server_asks_or_not_made_at_all(after, least):
    pause = failover.pause_seconds(refused(refusals.BUSY, 429, after), 0)
    if least is None:
        assert pause is None
    else:
        assert pause is not None
        assert least <= pause <= max(least, 0.15)


def test_one_that_drains_does_not_say_when_a_call_may_come_again():
    failing, draining = sight_of(PATIENT), sight_of(provider("b", "m", draining=True))
    failing.breaker.misconfigure(NOW, failing.breaker.enter(NOW), "it refuses its key")

    for sights, seconds in (([failing, draining], 30), ([draining], 1)):
        assert failover.nobody(sights, NOW).headers["retry-after"] == str(seconds)


# What is told of the server


def visited(*models: str) -> tuple[Visit, Sight]:
    """A server one failure before its breaker opens: whatever is told of it can be seen."""
    sight = sight_of(provider("a", *(models or ("m",))))
    for _ in range(MOST_IN_A_ROW - 1):
        sight.breaker.fail(NOW, sight.breaker.enter(NOW), "before")
    return visit_to(sight), sight


def visit_to(sight: Sight, now: float = NOW, *, model: str = "m") -> Visit:
    way = Way(Target(sight.entry, model), "/v1/chat/completions")
    place = Place(way, sight, sight.breaker, sight.begin(now))
    return Visit(place, lambda: now, puts_model=bool(model))


def counted(breaker: Breaker) -> tuple[int, int]:
    """How much more was told, and how much of it was bad."""
    return breaker._calls - (MOST_IN_A_ROW - 1), breaker._failures - (MOST_IN_A_ROW - 1)


GOOD, BAD, NOTHING = (1, 0), (1, 1), (0, 0)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.UpstreamUnreachable("x"), BAD),
        (errors.UpstreamBroke("x"), BAD),
        (errors.UpstreamTimeout("x"), BAD),
        (errors.UpstreamError("x"), BAD),
        (ConnectionAbortedError("x"), BAD),
        (OF_THE_CALL, GOOD),
        (FAILING, BAD),
        (STOPPED, BAD),
        (BUSY, GOOD),
        (Reworded(400, "x"), GOOD),
        (errors.MissingRoute("x"), GOOD),
        (errors.UpstreamUnreadable("x"), GOOD),
        (errors.SlowUpload("x"), NOTHING),
        (errors.BodyTooLarge("x"), NOTHING),
        (errors.StateUnavailable("x"), NOTHING),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_failure_says_of_the_server(error, told):
    visit, sight = visited()
    visit.failed(error)
    visit.end()
    assert counted(sight.breaker) == told
    assert (sight.breaker.state is Breaking.OPEN) is (told == BAD)
    assert sight.is_shut is (told == BAD)


@pytest.mark.parametrize(
    ("status", "told"),
    [(200, GOOD), (204, GOOD), (400, GOOD), (422, GOOD), (500, BAD), (501, GOOD), (505, BAD)],
)
def test_what_an_answer_says_that_was_handed_on(status, told):
    visit, sight = visited()
    visit.answered(status)
    visit.end()
    assert counted(sight.breaker) == told


def test_a_sound_beginning_counts_once_with_its_end():
    visit, sight = visited()
    visit.begun()
    assert counted(sight.breaker) == NOTHING, "it may still break off"
    visit.answered(200)
    visit.end()
    assert counted(sight.breaker) == GOOD


@pytest.mark.parametrize(
    "error", [ConnectionAbortedError("x"), errors.UpstreamBroke("x"), errors.UpstreamTimeout("x")]
)
def test_what_breaks_off_after_a_sound_beginning_is_a_failure(error):
    visit, sight = visited()
    visit.begun()
    visit.failed(error)
    visit.end()
    assert counted(sight.breaker) == BAD


def test_where_the_client_left_nothing_is_told():
    visit, sight = visited()
    visit.end()
    assert counted(sight.breaker) == NOTHING


def on_trial() -> tuple[Visit, Visit, Sight]:
    """The trial of a server that was dead, and a call that was sent before it died."""
    earlier, sight = visited()
    visit_to(sight).failed(errors.UpstreamBroke("x"))
    later = NOW + sight.breaker.seconds_left(NOW)
    return visit_to(sight, later), earlier, sight


def test_only_the_trial_opens_it_anew():
    trial, earlier, sight = on_trial()
    earlier.failed(errors.UpstreamBroke("x"))
    assert sight.breaker.state is Breaking.HALF_OPEN
    trial.failed(errors.UpstreamBroke("x"))
    assert sight.breaker.state is Breaking.OPEN


def test_what_breaks_off_after_a_trial_has_begun_well_counts_as_that_of_any_call():
    trial, _, sight = on_trial()
    trial.begun()
    trial.failed(ConnectionAbortedError("x"))
    assert (sight.breaker.state, sight.breaker._failures) == (Breaking.CLOSED, 1)


def test_a_call_with_the_key_that_it_had_before_says_nothing_of_the_new_one():
    visit, sight = visited()
    sight.know(replace(sight.entry, authorization="Bearer new"), 1)
    visit.failed(errors.UpstreamRefusedKey("x"))
    assert (sight.breaker.state, sight.is_shut) == (Breaking.CLOSED, False)


def test_a_server_that_is_being_stopped_is_said_to_be():
    visit, sight = visited()
    visit.failed(STOPPED)
    assert sight.breaker.reason == failover.STOPPING


@pytest.mark.parametrize("error", [errors.UpstreamRefusedKey("x"), LOST])
def test_a_server_that_is_set_up_wrongly_is_misconfigured(error: GatewayError | Refused):
    visit, sight = visited("m")
    visit.failed(error)
    visit.end()
    assert (sight.breaker.state, sight.is_shut) == (Breaking.MISCONFIGURED, True)


def test_one_of_several_models_that_is_unknown_says_nothing_of_the_others():
    visit, sight = visited("m", "n")
    visit.failed(LOST)
    visit.end()
    assert counted(sight.breaker) == GOOD


def test_a_server_that_asks_to_be_left_alone_is():
    visit, sight = visited()
    visit.failed(refused(refusals.BUSY, 429, b"7"))
    assert not sight.admits(NOW + 6.9)
    assert sight.admits(NOW + 7.0)


def test_the_reason_holds_nothing_of_the_servers_words():
    visit, sight = visited()
    visit.failed(errors.UpstreamBroke("a private sentence"))
    assert sight.breaker.reason == "upstream_broke"


def test_answers_with_500_open_it_only_by_their_share():
    """What was asked may be the reason: any caller could shut a server for all."""
    visit, sight = visited()
    visit.answered(500)
    assert (counted(sight.breaker), sight.breaker.state) == (BAD, Breaking.CLOSED)


def test_a_model_that_the_client_made_up_says_nothing_of_the_server():
    _, sight = visited("m")
    visit = visit_to(sight, model="")
    visit.failed(LOST)
    visit.end()
    assert sight.breaker.state is Breaking.CLOSED


@pytest.mark.parametrize(
    ("error", "begun"),
    [
        (errors.UpstreamUnreachable("x"), False),
        (errors.UpstreamRefusedKey("x"), False),
        (BUSY, False),
        (LOST, False),
        (FAILING, True),
        (errors.UpstreamBroke("x"), True),
        (errors.UpstreamTimeout("x"), True),
    ],
)
def test_only_servers_that_may_have_begun_are_few(error, begun):
    assert failover.may_have_begun(error) is begun
