"""Which provider of the YAML file each group of variables means, and both put together. Pure.

The environment wins, field by field. Where it could mean more than one provider, that is a problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from providers.seeding.environment import Group
from providers.seeding.wanted import Wanted


def overlaid(groups: Iterable[Group], listed: Sequence[Wanted]) -> tuple[list[Wanted], list[str]]:
    """The providers wanted by both together, sorted by name; and every problem."""
    providers = {wanted.name: wanted for wanted in listed}
    attached: dict[str, Group] = {}
    problems: list[str] = []
    for group in groups:
        try:
            name = _target(group, listed)
            _check_alone(group, attached.get(name), name)
        except ValueError as error:
            problems.append(f"{', '.join(group.variables)}: {error}")
            continue
        attached[name] = group
        wanted = providers.get(name) or Wanted(name, "env")
        said_by = {**wanted.said_by, **dict.fromkeys(group.said, "env")}
        both = replace(wanted, source="env", said_by=said_by, **group.said)
        # The file's key is for the file's address; a key by itself is for whichever is named.
        is_of_file = said_by.get("api_key") == "yaml" and "base_url" in wanted.said_by
        providers[name] = both.without_strange_key(wanted.base_url) if is_of_file else both
    found = [providers[name] for name in sorted(providers)]
    return found, [*problems, *(_without_models(wanted) for wanted in found if _lacks(wanted))]


def _target(group: Group, listed: Sequence[Wanted]) -> str:
    names = [wanted.name for wanted in listed]
    if not group.unsuffixed or group.name in names or not names:
        return group.name
    if len(names) == 1:
        return names[0]
    raise ValueError(
        f"which provider of the YAML file is meant: {' or '.join(names)}? Name one of them"
        f" {group.name}, or use variables with a suffix"
    )


def _check_alone(group: Group, before: Group | None, name: str) -> None:
    if before:
        raise ValueError(
            f"these mean the provider {name}, and so do {', '.join(before.variables)}, since the"
            f" YAML file has no {before.name} and {name} alone; add {before.name} to it, or unset"
            " one of them"
        )


def _lacks(wanted: Wanted) -> bool:
    return wanted.mode != "discover" and not wanted.models


def _without_models(wanted: Wanted) -> str:
    return f"{wanted.place}.models: models_mode {wanted.mode} needs at least one model id"
