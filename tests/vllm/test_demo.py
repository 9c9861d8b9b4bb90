"""The calls that `make demo` prints do what they say."""

from __future__ import annotations

import pytest

from scripts import demo
from tests.vllm.conftest import MASTER_KEY
from tests.vllm.servers import Server


def test_the_printed_calls_work_as_printed(
    aurora: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.check(demo.calls_to_try(aurora.url, MASTER_KEY)) == 0, capsys.readouterr().out


def test_a_call_that_fails_is_noticed(aurora: Server) -> None:
    assert demo.check(demo.calls_to_try(aurora.url, "sk-wrong")) == 1
