"""A run of the whole suite says what it left out."""

from __future__ import annotations

import pytest

from tests.plugins.left_out import lines_of


def skipped(reason: str) -> pytest.TestReport:
    place = ("tests/browser/conftest.py", 44, reason)
    return pytest.TestReport("id", ("", 0, ""), {}, "skipped", place, "setup")


def test_each_reason_is_told_once():
    needs = skipped("Skipped: NOT RUN: the admin in a browser needs Chromium")
    lines = list(lines_of([needs, needs, skipped("Skipped: a file has no host")], 0))

    assert lines[:2] == [
        "2 skipped: the admin in a browser needs Chromium",
        "1 skipped: a file has no host",
    ]
    assert "real vLLM: make test-vllm" in lines


def test_what_was_not_selected_is_counted():
    assert any(line.startswith("9 deselected") for line in lines_of([], 9))
