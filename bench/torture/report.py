"""The trials' results as Markdown, as docs/reliability.md shows them."""

from __future__ import annotations

from collections.abc import Mapping

from bench.torture.result import Result


def markdown(results: Mapping[str, Result]) -> str:
    rows = [
        f"| {name} | {_figures(result)} | {_faults(result)} |" for name, result in results.items()
    ]
    return "\n".join(["| trial | what was tried | failed, lost, doubled |", "|---|---|---|", *rows])


def _figures(result: Result) -> str:
    return ", ".join(f"{what}: {figure}" for what, figure in result.figures.items())


def _faults(result: Result) -> str:
    if not result.faults:
        return "0"
    return "; ".join(f"**{count}** {fault}" for fault, count in result.faults.most_common(12))
