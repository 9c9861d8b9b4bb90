"""How the suite is shared out among its workers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.plugins.order import START_PROCESSES
from tests.plugins.workers import EACH_ALONE, ByFile, pytest_xdist_auto_num_workers

PURE = "tests/test_docs.py::test_one"
ALONE = "tests/process/test_chaos.py::test_one"
SHARING = "tests/process/test_django_paths.py::test_one"


class Worker:
    """Stands for a process that runs what it is sent."""

    shutting_down = False

    def __init__(self, name: str) -> None:
        self.gateway = self
        self.id = name
        self.sent: list[int] = []

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.sent += indices

    def shutdown(self) -> None:
        self.shutting_down = True


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (["tests/test_docs.py"], 0),
        (["tests/test_docs.py::test_one", "tests/test_layers.py"], 0),
    ],
)
def test_a_few_files_run_in_this_process(pytestconfig, monkeypatch, arguments, number):
    monkeypatch.setattr(pytestconfig, "args", arguments)

    assert pytest_xdist_auto_num_workers(pytestconfig) == number


def test_the_suite_and_a_folder_run_side_by_side(pytestconfig, monkeypatch):
    monkeypatch.setattr(pytestconfig, "args", ["tests"])

    assert pytest_xdist_auto_num_workers(pytestconfig) >= 2


def test_files_stay_together_and_workers_begin_at_either_end(pytestconfig, monkeypatch):
    monkeypatch.setattr(pytestconfig.option, "tx", ["2*popen"], raising=False)
    scheduler = ByFile(pytestconfig)
    tests = [SHARING, f"{SHARING}_more", ALONE, f"{ALONE}_more", PURE, f"{PURE}_more"]
    workers = [Worker("gw0"), Worker("gw1")]
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, tests)

    scheduler.schedule()

    assert [worker.sent for worker in workers] == [[0, 1, 2], [4, 5, 3]]


def test_what_stands_alone_begins_first():
    assert EACH_ALONE in START_PROCESSES
