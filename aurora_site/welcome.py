"""What `serve` says to a person who has just started it on a terminal. No I/O."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Welcome:
    """How things stand as it starts. `first_login` is the path of a link, "" where an administrator
    is there."""

    url: str
    first_login: str
    providers: Sequence[str]
    has_keys: bool

    def text(self) -> str:
        """A block of lines."""
        rows = [
            ("Admin", self._admin()),
            ("Servers", self._servers()),
            ("Keys", self._keys()),
            ("Stop", "Ctrl-C; running calls are finished first"),
        ]
        lines = [f"Aurora serves {self.url}", ""]
        for name, told in rows:
            first, *more = told.splitlines()
            lines += [f"{name:<9}{first}", *(f"{'':<9}{each}" for each in more)]
        return "\n" + "".join(f"  {line}".rstrip() + "\n" for line in lines)

    def _admin(self) -> str:
        if not self.first_login:
            return f"{self.url}/admin/"
        return (
            "There is no administrator yet. Open this link within an hour to become the first:\n"
            f"{self.url}{self.first_login}"
        )

    def _servers(self) -> str:
        if not self.providers:
            return "none yet: add one in the admin, or set VLLM_BASE_URL and start again"
        return ", ".join(self.providers)

    def _keys(self) -> str:
        if not self.has_keys:
            return "none yet: add one in the admin, or set AURORA_MASTER_KEY and start again"
        return f"calls go to {self.url}/v1 with a key"


def command(name: str, *, folder: Path) -> str:
    """How to run a command of manage.py from `folder` with this interpreter."""
    interpreter = Path(sys.executable)
    shown = interpreter.relative_to(folder) if interpreter.is_relative_to(folder) else interpreter
    return shlex.join([str(shown), "manage.py", name])
