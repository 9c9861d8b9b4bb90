"""How much memory the machine, or the control group that this process is in, gives it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SHARE = 0.5
"""Of that memory, for what calls hold: the rest is the programs', the database's, and the system's."""
GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def share_bytes() -> int:
    """What calls may hold where no setting says so."""
    return int(memory_bytes() * SHARE)


def memory_bytes(groups: Path = GROUPS, own: Path = OWN_GROUPS) -> int:
    """The least of what the machine has and what this process's control groups, of either version,
    may use."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(groups, own)])


def _limits(groups: Path, own: Path) -> Iterator[int]:
    """A group may use no more than those that it is in. A container sees its own as the root."""
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = groups / "memory" if controllers else groups
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        below = root / path.lstrip("/")
        for folder in (below, *below.parents):
            said = _read(folder / name).strip()
            if said.isdigit():
                yield int(said)
            if folder == root:
                break


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
