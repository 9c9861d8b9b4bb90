"""Figures to Markdown: what was measured, and which targets were met."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

CONTENDERS = ("mock", "litellm", "aurora")
Values = Mapping[tuple[str, str], float]


@dataclass(slots=True)
class Figures:
    """What the lanes found: values by (contender, measure), in order, and what went wrong."""

    values: dict[tuple[str, str], float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])

    def add(self, contender: str, bad: Mapping[str, int], **measures: float) -> None:
        """Keep `measures`, under the names in MEASURES; `bad` is counted and shown."""
        for name, value in measures.items():
            self.values[contender, name] = value
        self.values[contender, "errors"] = self.values.get((contender, "errors"), 0) + sum(
            bad.values()
        )
        if bad:
            counted = ", ".join(f"{count} x {what}" for what, count in bad.items())
            self.problems.append(f"{contender}, {' '.join(measures) or 'warm-up'}: {counted}")


MEASURES = {
    "per_second": "requests/s, 64 connections",
    "call_cpu_us": "processor time a call (µs)",
    "p50_ms": "latency p50, 1 connection (ms)",
    "p99_ms": "latency p99, 1 connection (ms)",
    "worst_gap_ms": "500 streams: longest gap (ms)",
    "p99_gap_ms": "500 streams: longest gap, p99 of streams (ms)",
    "p50_gap_ms": "500 streams: longest gap, median stream (ms)",
    "worst_first_ms": "500 streams: longest wait for a first chunk (ms)",
    "stream_chunks": "500 streams: chunks received",
    "chunk_cpu_us": "500 streams: processor time a chunk (µs)",
    "left_p50_ms": "a client leaves its stream: until the server is left, median (ms)",
    "left_worst_ms": "a client leaves its stream: until the server is left, longest (ms)",
    "session_left_p50_ms": "a client leaves its session: until the server knows, median (ms)",
    "session_left_worst_ms": "a client leaves its session: until the server knows, longest (ms)",
    "live_p50_ms": "a key is issued or revoked: until calls go by it, median (ms)",
    "live_worst_ms": "a key is issued or revoked: until calls go by it, longest (ms)",
    "stopped_ms": "SIGTERM without calls: until the process has ended (ms)",
    "body_copies": "10 MiB body: growth of peak memory (bodies)",
    "fresh_mib": "memory when started (MiB)",
    "resident_mib": "memory after warm-up (MiB)",
    "calls_growth_mib": "growth over the calls (MiB)",
    "cancelled_growth_mib": "growth over the cancelled streams (MiB)",
    "left_open": "upstream streams open 1 s after the last was cancelled",
    "first_relayed_ms": "first token of a relayed stream, median (ms)",
    "first_messages_ms": "first token, Messages by way of chat, median (ms)",
    "first_responses_ms": "first token, Responses by way of chat, median (ms)",
    "event_relayed_us": "100 relayed streams: processor time an event (µs)",
    "event_messages_us": "100 Messages streams translated: processor time an event (µs)",
    "event_responses_us": "100 Responses streams translated and kept: processor time an event (µs)",
    "chunks_callback_ms": "200,000 chunks of a byte from a server: longest callback (ms)",
    "chunks_call_ms": "200,000 chunks of a byte from a server: longest small call beside it (ms)",
    "server_pings_callback_ms": "200,000 pings of a server: longest callback (ms)",
    "server_pings_call_ms": "200,000 pings of a server: longest small call beside it (ms)",
    "client_pings_callback_ms": "200,000 pings of a client: longest callback (ms)",
    "client_pings_call_ms": "200,000 pings of a client: longest small call beside it (ms)",
    "streams_callback_ms": "16 translated streams at full speed: longest callback (ms)",
    "streams_call_ms": "16 translated streams at full speed: longest small call beside it (ms)",
    "event_callback_ms": "an event of 15 MiB of escaped quotes, translated and kept: longest callback (ms)",
    "event_call_ms": "an event of 15 MiB of escaped quotes, translated and kept: longest small call beside it (ms)",
    "quotes_callback_ms": "an answer of 15 MiB of escaped quotes, translated and kept: longest callback (ms)",
    "quotes_call_ms": "an answer of 15 MiB of escaped quotes, translated and kept: longest small call beside it (ms)",
    "backslashes_callback_ms": "a body of 32 MiB of backslashes: longest callback (ms)",
    "backslashes_call_ms": "a body of 32 MiB of backslashes: longest small call beside it (ms)",
    "translated_callback_ms": "the same, translated: longest callback (ms)",
    "translated_call_ms": "the same, translated: longest small call beside it (ms)",
    "packed_callback_ms": "the same, packed and translated: longest callback (ms)",
    "packed_call_ms": "the same, packed and translated: longest small call beside it (ms)",
    "empties_callback_ms": "a body of 11 million empty lists: longest callback (ms)",
    "empties_call_ms": "a body of 11 million empty lists: longest small call beside it (ms)",
    "errors": "errors",
}
TRANSLATED = ("messages", "responses")


def _of_litellm(values: Values) -> float:
    return values["aurora", "per_second"] / values["litellm", "per_second"]


def _added_of_litellm(values: Values) -> float:
    alone = values["mock", "p50_ms"]
    return (values["litellm", "p50_ms"] - alone) / (values["aurora", "p50_ms"] - alone)


def _growth(values: Values) -> float:
    grown = values["aurora", "calls_growth_mib"]
    return max(grown, grown + values["aurora", "cancelled_growth_mib"], key=abs)


def _first_added(values: Values) -> float:
    translated = max(values["aurora", f"first_{kind}_ms"] for kind in TRANSLATED)
    return translated - values["aurora", "first_relayed_ms"]


def _event_added(values: Values) -> float:
    translated = max(values["aurora", f"event_{kind}_us"] for kind in TRANSLATED)
    return (translated - values["aurora", "event_relayed_us"]) / 1000


def _aurora(measure: str) -> Callable[[Values], float]:
    return lambda values: values["aurora", measure]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached. `shown` formats the value; `met` judges it."""

    what: str
    wanted: str
    value: Callable[[Values], float]
    met: Callable[[float], bool]
    shown: str = "{:.1f}"


def _longest_callback(values: Values) -> float:
    found = [value for (_, name), value in values.items() if name.endswith("_callback_ms")]
    return max(found) if found else values["aurora", "chunks_callback_ms"]


TARGETS = (
    Target("requests/s over LiteLLM's", "at least 10 times", _of_litellm, lambda v: v >= 10),
    Target(
        "median latency added, as a share of LiteLLM's",
        "at most 1/8",
        _added_of_litellm,
        lambda v: v >= 8,
        "1/{:.1f}",
    ),
    Target(
        "longest gap in 500 streams, ms",
        "at most 250",
        _aurora("worst_gap_ms"),
        lambda v: v <= 250,
        "{:.0f}",
    ),
    Target(
        "longest time until a server is left by a client that left, ms",
        "at most 100",
        lambda values: max(values["aurora", f"{of}left_worst_ms"] for of in ("", "session_")),
        lambda v: v <= 100,
    ),
    Target(
        "longest time until a change is live, ms",
        "at most 2,000",
        _aurora("live_worst_ms"),
        lambda v: v <= 2000,
        "{:.0f}",
    ),
    Target(
        "an idle process ends after SIGTERM, ms",
        "at most 2,000",
        _aurora("stopped_ms"),
        lambda v: v <= 2000,
        "{:.0f}",
    ),
    Target(
        "longest callback of the loop, whatever callers and servers send, ms",
        "at most 50",
        _longest_callback,
        lambda v: v <= 50,
    ),
    Target(
        "copies of a 10 MiB body in peak memory",
        "at most 4",
        _aurora("body_copies"),
        lambda v: v <= 4,
    ),
    Target(
        "memory over calls and cancelled streams, MiB",
        "flat, within 5",
        _growth,
        lambda v: abs(v) <= 5,
        "{:+.1f}",
    ),
    Target(
        "time to the first token that translation adds, ms",
        "at most 2",
        _first_added,
        lambda v: v <= 2,
        "{:+.2f}",
    ),
    Target(
        "processor time an event that translation adds, ms",
        "at most 0.2",
        _event_added,
        lambda v: v <= 0.2,
        "{:+.3f}",
    ),
)


def markdown(figures: Figures) -> str:
    parts = [
        _machine(figures.load_before),
        _measured(figures.values),
        judged(figures.values, TARGETS),
    ]
    if figures.problems:
        parts.append("\n".join(["What went wrong:", "", *(f"- {p}" for p in figures.problems)]))
    return "\n\n".join(parts)


def _machine(load_before: float) -> str:
    machine = f"Python {platform.python_version()}, {platform.machine()}, {_processor()}"
    return f"{machine}; load average before the run {load_before:.1f}."


def _processor() -> str:
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores ({names[0]})" if names else "processor unknown"


def _measured(values: Values) -> str:
    rows = ["| | mock alone | LiteLLM | Aurora |", "|---|---|---|---|"]
    for measure, title in MEASURES.items():
        cells = [cell(values.get((contender, measure))) for contender in CONTENDERS]
        if any(cells):
            rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def judged(values: Values, targets: Sequence[Target]) -> str:
    """A row for each target."""
    rows = ["| Target | wanted | measured | |", "|---|---|---|---|"]
    return "\n".join([*rows, *(_target_row(target, values) for target in targets)])


def _target_row(target: Target, values: Values) -> str:
    try:
        value = target.value(values)
    except (KeyError, ZeroDivisionError):
        return f"| {target.what} | {target.wanted} | | not measured |"
    verdict = "met" if target.met(value) else "**fell short**"
    return f"| {target.what} | {target.wanted} | {target.shown.format(value)} | {verdict} |"
