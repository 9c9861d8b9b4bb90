"""`VLLM_…` variables -> what they say of which provider. Pure.

vLLM reads variables of its own under the same prefix (`VLLM_PORT`, `VLLM_USE_V2_MODEL_RUNNER`, …).
Of all that vLLM 0.x lists in its `envs.py` one alone ends in a field of ours: `VLLM_API_KEY`, the
key its server asks for. That is what it means here too: next to a server that runs with it, it
makes the provider on the default URL. Those that come near (`VLLM_BUILD_URL`,
`VLLM_RPC_BASE_PATH`) match no field, and what matches none is not ours to judge.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aurora_site.environment.cleaning import parts
from aurora_site.environment.names import PROVIDER_VARIABLE
from aurora_site.environment.showing import shown
from providers.seeding import fields, placeholders

NAME = "vllm"
LONGEST_NAME = 63
SECRET = ("API_KEY",)
_SUFFIX = re.compile(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Group:
    """What the environment says of one provider: members of Wanted, only those that it says."""

    name: str
    variables: tuple[str, ...]
    said: Mapping[str, Any] = field(repr=False)

    @property
    def unsuffixed(self) -> bool:
        return self.name == NAME


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    suffix: str | None
    ending: str
    value: str = field(repr=False)


def read(environ: Mapping[str, str]) -> tuple[list[Group], list[str]]:
    """The groups, the unsuffixed one first, the others by name; and every problem.

    An empty variable counts as unset.
    """
    groups: dict[str, list[_Variable]] = defaultdict(list)
    problems: list[str] = []
    for variable in _variables(environ):
        try:
            groups[_provider_name(variable.suffix)].append(variable)
        except ValueError as error:
            problems.append(f"{variable.name}: {error}")
    read_groups = [_group(name, groups[name], problems) for name in sorted(groups)]
    return [group for group in read_groups if group.said], problems


def _variables(environ: Mapping[str, str]) -> list[_Variable]:
    matches = ((PROVIDER_VARIABLE.fullmatch(name), environ[name]) for name in sorted(environ))
    return [
        _Variable(match[0], match["suffix"], match["ending"], value)
        for match, value in matches
        if match and value.strip()
    ]


def _provider_name(suffix: str | None) -> str:
    if suffix is None:
        return NAME
    if not _SUFFIX.fullmatch(suffix):
        raise ValueError(
            "what stands between VLLM_ and the field is made of letters, digits and single"
            " underscores between them, as in VLLM_EU_WEST_1_BASE_URL"
        )
    name = f"{NAME}-{suffix.lower().replace('_', '-')}"
    if len(name) > LONGEST_NAME:
        raise ValueError(f"the provider's name would be longer than {LONGEST_NAME} characters")
    return name


def _group(name: str, variables: list[_Variable], problems: list[str]) -> Group:
    suffixes = {variable.suffix for variable in variables}
    names = tuple(variable.name for variable in variables)
    if len(suffixes) > 1:
        problems.append(
            f"{', '.join(names)}: these all mean the provider {name}; write its suffix in one way"
        )
        return Group(name, names, {})
    said: dict[str, Any] = {}
    for variable in variables:
        member, reader = _FIELDS[variable.ending]
        try:
            said[member] = reader(_plain(variable.value))
        except ValueError as error:
            ending = "" if variable.ending in SECRET else shown(variable.value)
            problems.append(f"{variable.name}: {error}{ending}")
    return Group(name, names, {member: value for member, value in said.items() if value})


def _plain(value: str) -> str:
    if placeholders.holds_one(value):
        raise ValueError("it holds a ${…} that nothing expanded; write the value itself")
    return value


def _listed(value: str) -> tuple[str, ...]:
    return fields.model_ids(list(parts(value)))


_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "BASE_URL": ("base_url", fields.base_url),
    "API_KEY": ("api_key", fields.credential),
    "MODELS": ("models", _listed),
}
