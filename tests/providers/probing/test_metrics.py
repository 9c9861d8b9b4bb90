"""What /metrics says of a server's load."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.probing.metrics import MOST_CALLS, NO_LOAD, Load, load
from tests.recorded import load as recorded


def test_a_real_servers_metrics_are_read():
    assert load(recorded("multi_metrics_busy").body) == Load(running=4, waiting=8)


def test_engines_and_models_are_summed_and_reasons_are_not():
    text = (
        b'vllm:num_requests_running{engine="0",model_name="a"} 3.0\n'
        b'vllm:num_requests_running{engine="1",model_name="a"} 4.0\n'
        b'vllm:num_requests_waiting{engine="0",model_name="a"} 2.0\n'
        b'vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 2.0\n'
        b"# vllm:num_requests_running 9.0\n"
    )
    assert load(text) == Load(running=7, waiting=2)


@pytest.mark.parametrize(
    ("line", "running"),
    [
        (b"vllm:num_requests_running 5", 5),
        (b"vllm:num_requests_running 5.0 1700000000000", 5),
        (b"vllm:num_requests_running{} 5.0\r", 5),
        (b'vllm:num_requests_running{model_name="a} 9"} 5.0', 5),
        (b'vllm:num_requests_running{model_name="\xff"}\t1e1', 10),
        (b"vllm:num_requests_running 1e300", MOST_CALLS),
        (b"vllm:num_requests_running -3", 0),
        (b"vllm:num_requests_running NaN", 0),
        (b"vllm:num_requests_running +Inf", 0),
        (b"vllm:num_requests_running 1.2.3", 0),
        (b" vllm:num_requests_running 5", 0),
        (b"xvllm:num_requests_running 5", 0),
    ],
)
def test_a_line_is_read_as_the_format_has_it(line, running):
    assert load(b"a 1\n" + line + b"\nb 2\n").running == running


def test_a_server_without_these_gauges_does_not_tell_its_load():
    assert load(b"") == NO_LOAD
    assert load(b"process_open_fds 5\n") == NO_LOAD
    assert load(b"vllm:num_requests_running 0.0\n") == Load(0, 0) != NO_LOAD


NOISE = st.binary().filter(lambda text: b"vllm:" not in text)


@given(before=NOISE, after=NOISE)
def test_other_text_around_a_gauge_changes_nothing(before, after):
    gauge = b"\nvllm:num_requests_waiting 7\n"

    assert load(before + after) == NO_LOAD
    assert load(before + gauge + after) == Load(running=0, waiting=7)


@given(st.integers(0, 10**30) | st.floats(1, 1e300))
def test_any_number_is_read_up_to_the_most(number):
    line = f"vllm:num_requests_waiting {number!r}".encode()

    assert load(line) == Load(running=0, waiting=min(int(number), MOST_CALLS))


def test_a_line_that_is_nearly_a_number_is_read_in_one_go():
    """A pattern that goes back over it would hold up every call for hours."""
    for end in (b"x", b" 1x", b" ", b""):
        load(b"vllm:num_requests_running " + b"1" * 2**20 + end)
        load(b"vllm:num_requests_running{" + b"}" * 2**20 + end)
        load(b"vllm:num_requests_running" + b" " * 2**20 + end)
