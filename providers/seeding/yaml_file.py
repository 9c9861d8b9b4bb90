"""The YAML file's text -> the providers it wants. Pure; docs/configuration.md is its reference.

Messages name file and path, never a value: PyYAML's own quote the line, which may hold a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import yaml

from aurora_site.environment.cleaning import cleaned
from providers.seeding import fields, placeholders
from providers.seeding.wanted import Wanted

NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
LONGEST_NAME = 63
READERS: Mapping[str, Callable[[Any], Any]] = {
    "type": fields.one_of("vllm"),
    "base_url": fields.base_url,
    "api_key": fields.credential,
    "models": fields.model_ids,
    "models_mode": fields.one_of("discover", "fallback", "allowlist"),
    "enabled": fields.boolean,
    "passthrough": fields.passthrough,
    "translation": fields.one_of("auto", "always"),
    "weight": fields.weight,
    "max_concurrency": fields.max_concurrency,
    "draining": fields.boolean,
    "repeats_after_timeout": fields.boolean,
    "connect_seconds": fields.seconds,
    "first_byte_seconds": fields.seconds,
    "idle_seconds": fields.seconds,
}


def read(text: str, environ: Mapping[str, str], *, file: str) -> tuple[list[Wanted], list[str]]:
    """The providers in the file's order, without those that have problems; and every problem.

    `file` is its name for messages.
    """
    problems: list[str] = []
    try:
        document = _document(text, problems)
    except _Unreadable as error:
        return [], [f"{file}: {error}"]
    wanted = list(_providers(document, environ, file, problems))
    return wanted, [f"{file}: {' '.join(problem.split())}" for problem in problems]


class _Unreadable(ValueError):
    """Not YAML."""


def _document(text: str, problems: list[str]) -> Any:
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        problems.extend(_twice(node, "", set()))
        return loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        # What stands in quotes may be from the file: an alias or a tag, or a key taken for one.
        reason = re.sub(r"'.*'|\".*\"", "'…'", error.problem or "", flags=re.DOTALL)
        raise _Unreadable(f"line {line}: not YAML: {reason}") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError):
        # PyYAML lets out whatever a constructor meets, as for the date 2026-99-99.
        raise _Unreadable(f"not YAML, near line {loader.line + 1 if loader else 1}") from None
    except RecursionError:
        raise _Unreadable("nested too deeply") from None
    finally:
        if loader:
            loader.dispose()


def _twice(node: yaml.Node | None, path: str, seen: set[int]) -> Iterator[str]:
    """Keys given twice, of which PyYAML would silently take the last."""
    if node is None or id(node) in seen:  # an alias may lead back to where it stands
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _twice(item, f"{path}[{number}]", seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            below = f"{path}.{key.value}".lstrip(".")
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                yield f"{below}: given twice, again in line {key.start_mark.line + 1}; keep one"
            if isinstance(key, yaml.ScalarNode):
                keys.add(key.value)
            yield from _twice(value, below, seen)


def _providers(
    document: Any, environ: Mapping[str, str], file: str, problems: list[str]
) -> Iterator[Wanted]:
    for name, block in _blocks(document, problems):
        path = f"providers.{name}"
        found: list[str] = []
        if not isinstance(name, str) or len(name) > LONGEST_NAME or not NAME.fullmatch(name):
            found.append(
                f"{path}: a name is text of at most {LONGEST_NAME} lower-case letters and digits,"
                " with . _ - between them"
            )
        said = _members(block, path, environ, found)
        if found:
            problems.extend(found)
        else:
            said_by = dict.fromkeys(said, "yaml")
            yield Wanted(name, "yaml", place=f"{file}: {path}", said_by=said_by, **said)


def _blocks(document: Any, problems: list[str]) -> Iterator[tuple[Any, Any]]:
    top = _mapping(document, "the file", "`providers: {…}`", problems)
    problems.extend(_unknown(top, ("providers",), ""))
    shape = "`NAME: {type: vllm, …}`"
    yield from _mapping(top.get("providers"), "providers", shape, problems).items()


def _mapping(value: Any, path: str, shape: str, problems: list[str]) -> Mapping[Any, Any]:
    if value is not None and not isinstance(value, dict):
        problems.append(f"{path}: a mapping such as {shape} is needed, not {fields.kind(value)}")
    return value if isinstance(value, dict) else {}


def _unknown(mapping: Mapping[Any, Any], known: tuple[str, ...], path: str) -> Iterator[str]:
    for key in mapping:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
            yield f"{path}.{key}: unknown; {hint}".lstrip(".")


def _members(
    block: Any, path: str, environ: Mapping[str, str], problems: list[str]
) -> dict[str, Any]:
    """What a provider's block says, as members of Wanted. Null and empty text say nothing."""
    members = _mapping(block, path, "`{type: vllm, …}`", problems)
    problems.extend(_unknown(members, tuple(READERS), path))
    said: dict[str, Any] = {}
    for member, reader in READERS.items():
        try:
            value = _expanded(members.get(member), environ)
            if value not in (None, ""):
                said[member] = reader(value)
            elif member == "type":
                raise ValueError("required: write `type: vllm`")
        except ValueError as error:
            problems.append(f"{path}.{member}: {error}")
    return said


def _expanded(value: Any, environ: Mapping[str, str]) -> Any:
    """A member's value, its text cleaned and then expanded: variables are clean already."""
    if isinstance(value, str):
        return placeholders.expanded(cleaned(value), environ)
    if isinstance(value, list):
        return [_expanded(item, environ) if isinstance(item, str) else item for item in value]
    return value
