"""The one place through which the variables pass, of the process and of `.env`: merged and cleaned.

`cleaning` says what cleaned means, `dotenv` and `secret_files` read, `kubernetes` and `names` know
whose a variable is.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aurora_site.environment import dotenv, kubernetes, names, secret_files
from aurora_site.environment.cleaning import cleaned
from aurora_site.environment.files import BadFile

__all__ = ["BadFile", "Environment", "Notice", "load"]

FILE_NAME = ".env"
OURS = (*names.PREFIXES, "DATABASE_URL")
"""How the variables begin that Aurora alone reads."""
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the log and for Django's checks. `level` is one of logging's."""

    id: str
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Every variable's cleaned value; one that is empty is not there.

    `for_libraries` are those of `.env` that others may read, such as SSL_CERT_FILE.
    """

    values: Mapping[str, str] = field(repr=False)
    for_libraries: Mapping[str, str] = field(default_factory=dict, repr=False)
    notices: tuple[Notice, ...] = ()


def load(
    process: Mapping[str, str],
    folder: Path,
    options: Collection[str] = (),
    *,
    with_providers: bool = True,
) -> Environment:
    """The variables of the process and, where it has none of a name, of `.env` in `folder`; and
    the settings that stand in files of their own.

    `options` are the names of the settings, to which those of providers belong too if wanted.
    Raises BadFile if a file is there and cannot be read whole.
    """
    settings = names.Settings(options, with_providers)
    path = folder / FILE_NAME
    file = dotenv.read(path)
    of_process = {name: cleaned(value) for name, value in process.items()}
    injected = kubernetes.injected(of_process)
    for name in filter(settings.has, injected):
        del of_process[name]  # the others may be named in the YAML file
    of_file = {name: value for name, value in file.values.items() if not of_process.get(name)}
    values = {name: value for name, value in (of_process | of_file).items() if value}
    values |= secret_files.read(values, folder, settings.has)
    notices = [
        *_injected(injected),
        *(_repeated(path, name) for name in file.repeated),
        *map(_commented, sorted(n for n, v in of_process.items() if " #" in v and settings.has(n))),
        *(_unknown(text) for text in settings.unknown(values.keys() - injected)),
    ]
    others = {name: value for name, value in of_file.items() if not name.startswith(OURS)}
    return Environment(values, others, tuple(notices))


def _injected(found: list[str]) -> list[Notice]:
    if not found:
        return []
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    text = (
        f"{', '.join(found[:MOST_NAMED])}{more}: set by Kubernetes for a service of that name, and"
        " ignored; `enableServiceLinks: false` keeps them out of the pod"
    )
    return [Notice("aurora.I001", logging.INFO, text)]


def _repeated(path: Path, name: str) -> Notice:
    text = f"{path}: {name} is given more than once; the last value holds"
    return Notice("aurora.W001", logging.WARNING, text)


def _commented(name: str) -> Notice:
    """`docker run --env-file` knows no comments behind a value."""
    text = f"{name}: its value holds a # behind a blank; if a comment is meant, take it out"
    return Notice("aurora.W003", logging.WARNING, text)


def _unknown(text: str) -> Notice:
    return Notice("aurora.W002", logging.WARNING, text)
