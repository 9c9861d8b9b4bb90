from __future__ import annotations

import pytest

from aurora_site.memory_limit import memory_bytes

SMALL = 64 * 2**20


@pytest.fixture
def groups(tmp_path):
    return tmp_path / "cgroup"


def belongs(tmp_path, lines: str):
    own = tmp_path / "own"
    own.write_text(lines)
    return own


def say(folder, name: str, value: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(value)


def test_of_the_groups_that_a_process_is_in_the_least_counts(tmp_path, groups):
    say(groups, "memory.max", "max\n")
    say(groups / "a", "memory.max", f"{SMALL}\n")
    say(groups / "a" / "b", "memory.max", f"{2 * SMALL}\n")

    assert memory_bytes(groups, belongs(tmp_path, "0::/a/b\n")) == SMALL


def test_version_1_has_a_folder_for_memory(tmp_path, groups):
    say(groups / "memory" / "docker", "memory.limit_in_bytes", f"{SMALL}\n")
    lines = "12:cpu,cpuacct:/docker\n5:memory:/docker\n"

    assert memory_bytes(groups, belongs(tmp_path, lines)) == SMALL


def test_a_container_that_is_told_a_path_outside_looks_at_its_root(tmp_path, groups):
    say(groups, "memory.max", f"{SMALL}\n")

    assert memory_bytes(groups, belongs(tmp_path, "0::/system.slice/docker-1.scope\n")) == SMALL


def test_without_groups_it_is_what_the_machine_has(tmp_path, groups):
    say(groups / "memory", "memory.limit_in_bytes", "9223372036854771712\n")
    machine = memory_bytes(groups, tmp_path / "none")

    assert machine > SMALL
    assert memory_bytes(groups, belongs(tmp_path, "5:memory:/\n")) == machine
