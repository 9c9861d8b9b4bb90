"""What stands where among the turns, the same for every dialect."""

from __future__ import annotations

from gateway.translation.turns import OpenCalls, images_behind


def test_the_images_of_one_result_stand_alone():
    assert images_behind([("c1", ["a", "b"])], str.upper) == ["a", "b"]


def test_the_images_of_several_results_stand_under_the_name_of_their_call():
    shown = images_behind([("c1", ["a"]), ("c2", []), ("c3", ["b", "c"])], str.upper)

    assert shown == ["FROM THE RESULT OF C1:", "a", "FROM THE RESULT OF C3:", "b", "c"]


def test_a_message_waits_until_every_call_has_its_result():
    calls: OpenCalls[str] = OpenCalls()
    calls.call("c1")
    calls.call("c2")
    calls.wait("look here")
    calls.answer("c1")
    assert not calls.are_answered

    calls.answer("c2")

    assert calls.are_answered
    assert calls.release() == ["look here"]
    assert calls.release() == []


def test_a_call_without_a_result_is_open_no_longer_once_the_turn_is_over():
    calls: OpenCalls[str] = OpenCalls()
    calls.call("c1")

    assert calls.release() == []
    assert calls.are_answered
