"""What the environment and the YAML file say -> rows, at every start. Idempotent.

`environment` and `yaml_file` read, `overlay` puts both together, `apply`, `keys` and `superuser`
write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from auditlog.context import set_extra_data
from django.db import connection

from aurora_site.environment.files import BadFile, read_text
from providers import chosen_secrets
from providers.seeding import apply, environment, keys, overlay, superuser, yaml_file
from providers.seeding.wanted import SeedError, Wanted
from providers.transactions import edit, one_at_a_time, retried

__all__ = ["SeedError", "Seeds", "read", "wait_for_others", "write"]

DEFAULT_FILE = "config.yaml"
WAIT_SECONDS = 60
"""For another process that seeds."""
LOCK = 0x6175726F7261  # "aurora": any number will do that nobody else locks in this database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seeds:
    """What the environment and the YAML file say. No problem is left in it."""

    providers: tuple[Wanted, ...]
    master_keys: tuple[str, ...] = field(repr=False)
    admin_password: str = field(repr=False)
    warnings: tuple[str, ...] = ()
    """What is dangerous about it and yet stops nothing: a sentence each, without a secret."""


def read(environ: Mapping[str, str], *, config_path: str, base_dir: Path) -> Seeds:
    """What is said, before the database is touched.

    `environ` is clean, as `aurora_site.environment` gives it. `config_path` is what AURORA_CONFIG
    says, "" if nothing. Raises SeedError, with a line for every problem and no secret.
    """
    problems: list[str] = []
    wanted = _providers(environ, config_path, base_dir, problems)
    secrets = _noted(keys.master_keys, environ, problems) or ()
    password = _noted(superuser.admin_password, environ, problems) or ""
    if problems:
        raise SeedError("\n".join(problems))
    return Seeds(tuple(wanted), secrets, password, tuple(chosen_secrets.warnings(environ)))


def write(seeds: Seeds, *, prune: bool = False) -> list[str]:
    """Make the rows be as said; what was done, one sentence each, without a secret.

    What is not said any more stays, unless `prune` ends it. All of it is done or, on SeedError,
    nothing. The error tells what `read` cannot know: what the rows forbid.
    """
    return retried(partial(_write, seeds, prune))


def _write(seeds: Seeds, prune: bool) -> list[str]:
    with edit(), set_extra_data({"additional_data": {"by": "environment"}}):
        wait_for_others()
        return [
            *apply.apply(seeds.providers, prune=prune),
            *keys.seed_master_keys(seeds.master_keys, prune=prune),
            *superuser.seed_superuser(seeds.admin_password),
        ]


def _providers(
    environ: Mapping[str, str], config_path: str, base_dir: Path, problems: list[str]
) -> list[Wanted]:
    groups, in_environment = environment.read(environ)
    listed, in_file = _file(environ, config_path, base_dir)
    problems.extend([*in_environment, *in_file])
    if problems:  # half of what was meant could look ambiguous where the whole is not
        return []
    wanted, in_both = overlay.overlaid(groups, listed)
    problems.extend(in_both)
    return wanted


def _file(
    environ: Mapping[str, str], config_path: str, base_dir: Path
) -> tuple[list[Wanted], list[str]]:
    path = base_dir / (config_path or DEFAULT_FILE)
    try:
        text = read_text(path)
    except FileNotFoundError:
        missing = f"AURORA_CONFIG: {path}: there is no such file"
        return [], [missing] if config_path else []
    except BadFile as error:
        return [], [str(error)]
    return yaml_file.read(text, environ, file=str(path))


def _noted(
    read: Callable[[Mapping[str, str]], T], environ: Mapping[str, str], problems: list[str]
) -> T | None:
    try:
        return read(environ)
    except ValueError as error:
        problems.append(str(error))
        return None


def wait_for_others() -> None:
    """Let one process seed at a time, until the transaction ends. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{WAIT_SECONDS}s"])
        one_at_a_time(LOCK)
