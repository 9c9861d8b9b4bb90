"""The one place through which the variables pass, of the process and of `.env`: merged and cleaned.

`cleaning` says what cleaned means, `files` and `dotenv` read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aurora_site.environment import dotenv
from aurora_site.environment.cleaning import cleaned
from aurora_site.environment.files import BadFile

__all__ = ["BadFile", "Environment", "load"]

FILE_NAME = ".env"
OURS = ("AURORA_", "VLLM_", "DATABASE_URL")
"""How the variables begin that Aurora alone reads."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Every variable's cleaned value; one that is empty is not there.

    `for_libraries` are those of `.env` that others may read, such as SSL_CERT_FILE. `warnings` are
    sentences for the log.
    """

    values: Mapping[str, str] = field(repr=False)
    for_libraries: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...] = ()


def load(process: Mapping[str, str], folder: Path) -> Environment:
    """The variables of the process and, where it has none of a name, of `.env` in `folder`.

    Raises BadFile if the file is there and cannot be read whole.
    """
    path = folder / FILE_NAME
    file = dotenv.read(path)
    values = {name: cleaned(value) for name, value in process.items()}
    of_file = {name: value for name, value in file.values.items() if not values.get(name)}
    merged = {name: value for name, value in (values | of_file).items() if value}
    others = {name: value for name, value in of_file.items() if not name.startswith(OURS)}
    return Environment(merged, others, tuple(_repeated(path, name) for name in file.repeated))


def _repeated(path: Path, name: str) -> str:
    return f"{path}: {name} is given more than once; the last value holds"
