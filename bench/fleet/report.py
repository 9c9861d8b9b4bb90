"""Figures of the fleet to Markdown: who spread the trace how well, and which targets were met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, quantiles
from typing import Any

from bench.report import Target, Values, cell, judged

NAMES = {
    "ideal": "one cache for all",
    "cache_aware": "vllm-router, cache_aware",
    "cache_aware_rendering": "the same, servers that render",
    "affinity": "Aurora, affinity",
    "least_loaded": "Aurora, least_loaded",
    "round_robin": "Aurora, round_robin",
    "random": "Aurora, random",
}
MEASURES = {
    "hit_share": "prompt tokens found in the prefix cache (%)",
    "p50_ms": "time to first token, p50 (ms)",
    "p99_ms": "time to first token, p99 (ms)",
    "load_ratio": "calls running: the busiest server over the mean",
    "calls_ratio": "calls taken: the most over the mean",
    "call_cpu_us": "processor time of the gateway a call (µs)",
    "choice_us": "one choice among 200 servers, processor time (µs)",
    "calls": "calls counted",
    "errors": "errors",
}


@dataclass(slots=True)
class Figures:
    """Values by (contender, measure), and what went wrong."""

    values: dict[tuple[str, str], float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, contender: str, **measures: float) -> None:
        self.values |= {(contender, name): value for name, value in measures.items()}


def of_servers(counts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What the servers counted, as measures."""
    busy, calls = [each["busy"] for each in counts], [each["calls"] for each in counts]
    prompt = sum(each["prompt_tokens"] for each in counts)
    return {
        "hit_share": 100 * sum(each["cached_tokens"] for each in counts) / max(1, prompt),
        "load_ratio": max(busy) / max(1e-9, mean(busy)),
        "calls_ratio": max(calls) / max(1e-9, mean(calls)),
        "calls": sum(calls),
    }


def of_firsts(firsts: Sequence[float]) -> dict[str, float]:
    """Seconds to first tokens, as measures; none of less than two."""
    if len(firsts) < 2:
        return {}
    cuts = quantiles(firsts, n=100, method="inclusive")
    return {"p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}


def _over(router: str, measure: str) -> Callable[[Values], float]:
    return lambda values: values["affinity", measure] / values[router, measure]


TWO_DIGITS = "{:.2f}"


def _against(router: str, said: str) -> tuple[Target, Target]:
    return (
        Target(
            f"hit share of affinity over cache_aware's{said}",
            "at least 1",
            _over(router, "hit_share"),
            lambda value: value >= 1,
            TWO_DIGITS,
        ),
        Target(
            f"p99 time to first token of affinity over cache_aware's{said}",
            "at most 1",
            _over(router, "p99_ms"),
            lambda value: value <= 1,
            TWO_DIGITS,
        ),
    )


TARGETS = (
    *_against("cache_aware", ""),
    *_against("cache_aware_rendering", ", servers that render"),
    Target(
        "busiest server over the mean, affinity",
        "at most 1.3",
        lambda values: values["affinity", "load_ratio"],
        lambda value: value <= 1.3,
        TWO_DIGITS,
    ),
    Target(
        "one choice among 200 servers by affinity, µs",
        "under 50",
        lambda values: values["affinity", "choice_us"],
        lambda value: value < 50,
    ),
)


def markdown(figures: Figures) -> str:
    parts = [_measured(figures.values), judged(figures.values, TARGETS)]
    if figures.problems:
        parts.append("\n".join(["What went wrong:", "", *(f"- {p}" for p in figures.problems)]))
    return "\n\n".join(parts)


def _measured(values: Values) -> str:
    rows = [f"| | {' | '.join(NAMES.values())} |", "|---" * (len(NAMES) + 1) + "|"]
    for measure, title in MEASURES.items():
        cells = [cell(values.get((contender, measure))) for contender in NAMES]
        if any(cells):
            rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows)
