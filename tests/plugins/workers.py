"""The suite side by side: how many workers, and who runs which test when.

`pytest -n auto`, as `make test` says it, asks for these. Without `-n` nothing here is used.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

WORKERS_PER_PROCESSOR = 2
"""Tests of servers and processes wait for half of their time."""
EACH_ALONE = "tests/process/"
"""Each test there starts processes and takes as long as a whole file of others."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """None beside this process for a few files: a worker takes seconds to start and to collect."""
    if all(".py" in argument for argument in config.args):
        return 0
    return WORKERS_PER_PROCESSOR * len(os.sched_getaffinity(0))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):
    """Gives a free worker the next file, or the next test where each stands alone.

    The order is that of the collected tests: first those that wait, last those that compute. Every
    second worker begins at the end, so that at any time some of the tests that run wait.
    """

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _assign_work_unit(self, node: WorkerController) -> None:
        if int(node.gateway.id.removeprefix("gw")) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(EACH_ALONE) and not shares_a_server(self.config.rootpath / file):
            return nodeid
        return file


@lru_cache
def shares_a_server(file: Path) -> bool:
    """Whether what a fixture of this file starts serves all of the file's tests."""
    return 'scope="module"' in file.read_text()
