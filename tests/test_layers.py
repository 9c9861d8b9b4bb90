"""The import rules of docs/architecture.md, held by reading the sources themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("aurora_site", "gateway", "providers")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PURE = (
    "sse", "translation", "headers", "routing", "calls", "passthrough", "refusals", "endpoints",
    "errors", "dialects", "missing_routes", "abilities", "queries", "resuming", "renaming", "forms", "paging", "realtime",
    "state/values", "state/endings", "state/spool/records", "failover", "fleet/breaker", "fleet/budget",
)  # fmt: skip
HTTP_CLIENTS = {
    "aiohttp", "httpx", "httpx_aiohttp", "requests", "urllib3", "http.client", "urllib.request",
    "pyreqwest", "openai", "niquests",
}  # fmt: skip
NOT_PURE = HTTP_CLIENTS | {
    "django", "channels", "daphne", "twisted", "asyncio", "socket", "logging", "os", "threading",
    "providers.models", "providers.catalog", "providers.revision", "providers.secrets",
    "aurora_site", "gateway.client", "gateway.upstream", "gateway.views", "gateway.application",
    "gateway.relay", "gateway.auth", "gateway.records", "gateway.models", "gateway.runs",
    "gateway.state.store", "gateway.state.lane", "gateway.state.backlog", "gateway.state.rows",
    "gateway.state.responses", "gateway.state.background", "gateway.state.conversations",
    "gateway.state.retention", "gateway.state.batch", "gateway.state.spool.segments",
}  # fmt: skip
CATCH_ALLS = {"util", "utils", "helper", "helpers", "common", "misc", "shared", "manager"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@cache
def imported(path: Path) -> frozenset[str]:
    """Every module that `path` imports anywhere in it; `from a import b` counts as a and a.b."""
    return imports_of(path.read_text(encoding="utf-8"), module_name(path), path.stem == "__init__")


def imports_of(source: str, module: str, is_package: bool = False) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: len(module.split(".")) - node.level + is_package]
            base = ".".join([*(parents if node.level else ()), *filter(None, [node.module])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def among(modules: frozenset[str], roots: set[str]) -> set[str]:
    """Those of `modules` that are one of `roots` or below it."""
    return {
        module
        for module in modules
        if any(module == root or module.startswith(f"{root}.") for root in roots)
    }


def breaking(paths: Iterable[Path], forbidden: set[str]) -> dict[str, set[str]]:
    """What each of the files at `paths` imports of `forbidden`; only those that import any."""
    found = {module_name(path): among(imported(path), forbidden) for path in paths}
    return {module: modules for module, modules in found.items() if modules}


def below(module: str) -> list[Path]:
    """The files of `module`, which are there."""
    found = [path for path in SOURCES if f"{module_name(path)}.".startswith(f"{module}.")]
    assert found, module
    return found


def test_a_pure_layer_knows_no_database_settings_network_or_loop():
    for layer in PURE:
        assert breaking(below(f"gateway.{layer.replace('/', '.')}"), NOT_PURE) == {}


def test_what_calls_read_is_pure():
    for name in ("aliases", "patterns", "snapshot", "observed"):
        assert breaking(below(f"providers.{name}"), NOT_PURE) == {}


def test_only_the_door_upstream_imports_an_http_client():
    elsewhere = [path for path in SOURCES if "upstream" not in module_name(path).split(".")]

    assert breaking(elsewhere, HTTP_CLIENTS) == {}
    assert breaking(below("gateway.upstream"), HTTP_CLIENTS)


def test_providers_never_imports_the_gateway():
    assert breaking(below("providers"), {"gateway"}) == {}


def test_the_server_knows_nothing_of_what_it_serves():
    assert breaking(below("aurora_site.server"), {"gateway", "providers", "django"}) == {}


def test_a_call_reads_no_rows():
    """But for what callers own: `gateway.state` keeps it, off the way of a call. The command that
    starts Aurora migrates first."""
    apart = ("gateway.management.", "gateway.models", "gateway.migrations.", "gateway.state.")
    paths = [path for path in below("gateway") if not module_name(path).startswith(apart)]

    assert breaking(paths, {"providers.models", "django.db"}) == {}


def test_no_module_is_a_catch_all():
    names = {module_name(path) for path in SOURCES}

    assert {name for name in names if CATCH_ALLS.intersection(name.split("."))} == set()


@pytest.mark.parametrize(
    ("source", "module", "is_package", "expected"),
    [
        ("import httpx", "gateway.sse", False, "httpx"),
        ("import os.path as p", "gateway.sse", False, "os.path"),
        ("from providers import models", "gateway.sse", False, "providers.models"),
        ("def f():\n    from django.db import models", "gateway.sse", False, "django.db"),
        ("from . import upstream", "gateway.sse", False, "gateway.upstream"),
        ("from .upstream import Door", "gateway.sse", False, "gateway.upstream"),
        ("from ..upstream import Door", "gateway.translation.a", False, "gateway.upstream"),
        ("from .a import b", "gateway.translation", True, "gateway.translation.a"),
    ],
)
def test_these_rules_see_every_way_to_import(source, module, is_package, expected):
    assert expected in imports_of(source, module, is_package)
