"""What the fleet's servers counted becomes figures and verdicts."""

from __future__ import annotations

import pytest

from bench.fleet.report import Figures, markdown, of_firsts, of_servers


def figures(affinity: dict[str, float], router: dict[str, float]) -> Figures:
    found = Figures()
    found.add("affinity", **affinity)
    found.add("cache_aware", **router)
    found.add("cache_aware_rendering", **RENDERING)
    return found


WELL = {"hit_share": 70.0, "p99_ms": 300.0, "load_ratio": 1.2, "choice_us": 30.0}
ROUTER = {"hit_share": 60.0, "p99_ms": 400.0}
RENDERING = {"hit_share": 1.0, "p99_ms": 9999.0}


def test_shares_are_of_all_tokens_and_ratios_of_the_mean() -> None:
    counted = [
        {"calls": 10, "prompt_tokens": 100, "cached_tokens": 80, "busy": 3.0},
        {"calls": 30, "prompt_tokens": 300, "cached_tokens": 20, "busy": 1.0},
    ]
    assert of_servers(counted) == {
        "hit_share": 25.0,
        "load_ratio": 1.5,
        "calls_ratio": 1.5,
        "calls": 40,
    }


def test_times_are_percentiles_in_milliseconds() -> None:
    found = of_firsts([number / 1000 for number in range(1, 1002)])
    assert found == {"p50_ms": pytest.approx(501), "p99_ms": pytest.approx(991)}


def test_of_nothing_there_are_no_percentiles() -> None:
    assert of_firsts([]) == of_firsts([0.1]) == {}


def test_targets_are_met_against_the_router() -> None:
    text = markdown(figures(WELL, ROUTER))
    assert text.count("| met |") == 6
    assert "| hit share of affinity over cache_aware's | at least 1 | 1.17 | met |" in text


@pytest.mark.parametrize(
    "worse", [{"hit_share": 59.0}, {"p99_ms": 401.0}, {"load_ratio": 1.31}, {"choice_us": 50.0}]
)
def test_what_falls_short_says_so(worse: dict[str, float]) -> None:
    assert markdown(figures(WELL | worse, ROUTER)).count("**fell short**") == 1


def test_without_the_router_nothing_is_said_to_be_met_against_it() -> None:
    found = Figures()
    found.add("affinity", **WELL)
    found.problems.append("vllm-router cannot be installed")
    text = markdown(found)
    assert text.count("not measured") == 4
    assert "- vllm-router cannot be installed" in text
