"""Figures become ratios and verdicts."""

from __future__ import annotations

from collections import Counter

from bench.report import Figures, markdown


def speeds(aurora_per_second: float, aurora_p50_ms: float) -> Figures:
    figures = Figures()
    figures.add("mock", {}, per_second=50_000.0, p50_ms=0.5)
    figures.add("litellm", {}, per_second=100.0, p50_ms=8.5)
    figures.add("aurora", {}, per_second=aurora_per_second, p50_ms=aurora_p50_ms)
    return figures


def test_ratios_are_to_litellm_and_latency_is_what_is_added_to_the_mock_alone() -> None:
    text = markdown(speeds(1200.0, 1.3))

    assert "| requests/s over LiteLLM's | at least 10 times | 12.0 | met |" in text
    assert "| median latency added, as a share of LiteLLM's | at most 1/8 | 1/10.0 | met |" in text


def test_what_falls_short_says_so() -> None:
    text = markdown(speeds(900.0, 2.5))

    assert "| at least 10 times | 9.0 | **fell short** |" in text
    assert "| at most 1/8 | 1/4.0 | **fell short** |" in text


def test_what_was_not_measured_is_not_judged() -> None:
    figures = Figures()
    figures.add("aurora", {}, per_second=900.0)

    assert "| requests/s over LiteLLM's | at least 10 times | | not measured |" in markdown(figures)


def test_memory_is_not_flat_when_one_half_outweighs_the_other() -> None:
    figures = Figures()
    figures.add("aurora", {}, calls_growth_mib=6.0, cancelled_growth_mib=-4.0)

    assert "| flat, within 5 | +6.0 | **fell short** |" in markdown(figures)


def test_errors_are_summed_and_told() -> None:
    figures = Figures()
    figures.add("aurora", Counter({"status 502": 2}), per_second=1.0)
    figures.add("aurora", Counter({"connection lost": 1}), p50_ms=1.0)

    text = markdown(figures)

    assert "| errors |  |  | 3 |" in text
    assert "- aurora, per_second: 2 x status 502" in text
