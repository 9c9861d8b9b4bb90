"""What a run of the whole suite has left out, and why: said at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins.databases import on_postgres

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

DESELECTED = pytest.StashKey[int]()
SENT = "aurora_deselected"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[DESELECTED] = 0


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    if items:
        items[0].config.stash[DESELECTED] += len(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[SENT] = session.config.stash[DESELECTED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Every worker collects the same tests, and deselects the same."""
    told: dict[str, Any] = getattr(node, "workeroutput", {})
    node.config.stash[DESELECTED] = told.get(SENT, 0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.args != config.getini("testpaths"):
        return
    terminalreporter.section("left out")
    for line in lines_of(terminalreporter.stats.get("skipped", []), config.stash[DESELECTED]):
        terminalreporter.write_line(line)


def lines_of(skipped: Sequence[pytest.TestReport], deselected: int) -> Iterator[str]:
    for reason, count in Counter(map(_reason, skipped)).items():
        yield f"{count} skipped: {reason}"
    if on_postgres():
        yield f"{deselected} deselected: they touch no database; make test without DATABASE_URL"
    else:
        if deselected:
            yield f"{deselected} deselected: by -m or -k"
        yield "PostgreSQL: DATABASE_URL=postgres://... AURORA_SECRET_KEYS=... make test"
    yield "coding agents from npm: make test-agents"
    yield "real vLLM: make test-vllm"


def _reason(report: pytest.TestReport) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return told.removeprefix("Skipped: ").removeprefix("NOT RUN: ")
