"""The import rules of docs/architecture.md, held by reading the sources themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("aurora_site", "gateway", "providers")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PURE = (
    "sse", "translation", "headers", "routing", "calls", "passthrough", "refusals", "endpoints",
    "errors", "dialects", "missing_routes", "queries", "resuming", "renaming", "forms", "paging", "realtime",
    "state/values", "state/endings", "failover", "fleet/breaker", "fleet/budget",
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
    "gateway.state.retention",
}  # fmt: skip
CATCH_ALLS = {"util", "utils", "helper", "helpers", "common", "misc", "shared", "manager"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Every module that `path` imports anywhere in it; `from a import b` counts as a and a.b."""
    return imports_of(path.read_text(encoding="utf-8"), module_name(path), path.stem == "__init__")


def imports_of(source: str, module: str, is_package: bool = False) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: len(module.split(".")) - node.level + is_package]
            base = ".".join([*(parents if node.level else ()), *filter(None, [node.module])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def among(modules: set[str], roots: set[str]) -> set[str]:
    """Those of `modules` that are one of `roots` or below it."""
    return {
        module
        for module in modules
        if any(module == root or module.startswith(f"{root}.") for root in roots)
    }


def ids(paths: list[Path]) -> list[str]:
    return [module_name(path) for path in paths]


def of(layer: str) -> list[Path]:
    single = ROOT / "gateway" / f"{layer}.py"
    return [single] if single.exists() else sorted((ROOT / "gateway" / layer).rglob("*.py"))


@pytest.mark.parametrize("layer", PURE)
def test_the_pure_layers_are_there(layer):
    assert of(layer)


PURE_SOURCES = [path for layer in PURE for path in of(layer)]


@pytest.mark.parametrize("path", PURE_SOURCES, ids=ids(PURE_SOURCES))
def test_a_pure_layer_knows_no_database_settings_network_or_loop(path):
    assert among(imported(path), NOT_PURE) == set()


PURE_VALUES = [ROOT / "providers" / f"{name}.py" for name in ("aliases", "snapshot", "observed")]


@pytest.mark.parametrize("path", PURE_VALUES, ids=ids(PURE_VALUES))
def test_what_calls_read_is_pure(path):
    assert among(imported(path), NOT_PURE) == set()


ELSEWHERE = [path for path in SOURCES if "upstream" not in module_name(path).split(".")]


@pytest.mark.parametrize("path", ELSEWHERE, ids=ids(ELSEWHERE))
def test_only_the_door_upstream_imports_an_http_client(path):
    assert among(imported(path), HTTP_CLIENTS) == set()


def test_the_door_upstream_does_import_one():
    assert any(among(imported(path), HTTP_CLIENTS) for path in of("upstream"))


OF_PROVIDERS = [path for path in SOURCES if module_name(path).startswith("providers")]


@pytest.mark.parametrize("path", OF_PROVIDERS, ids=ids(OF_PROVIDERS))
def test_providers_never_imports_the_gateway(path):
    assert among(imported(path), {"gateway"}) == set()


OF_SERVER = [path for path in SOURCES if module_name(path).startswith("aurora_site.server")]


@pytest.mark.parametrize("path", OF_SERVER, ids=ids(OF_SERVER))
def test_the_server_knows_nothing_of_what_it_serves(path):
    assert among(imported(path), {"gateway", "providers", "django"}) == set()


def test_a_call_reads_no_rows():
    """But for what callers own: `gateway.state` keeps it, off the way of a call. The command that
    starts Aurora migrates first."""
    apart = ("gateway.management.", "gateway.models", "gateway.migrations.", "gateway.state.")
    for path in SOURCES:
        name = module_name(path)
        if name.startswith("gateway.") and not name.startswith(apart):
            assert among(imported(path), {"providers.models", "django.db"}) == set(), path


@pytest.mark.parametrize("path", SOURCES, ids=ids(SOURCES))
def test_no_module_is_a_catch_all(path):
    assert not set(module_name(path).split(".")) & CATCH_ALLS


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
