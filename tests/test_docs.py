"""The documentation says what the code does: its tables, links and commands, held against it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora_site.options import OPTIONS
from gateway.dialects import ANTHROPIC_TYPES
from gateway.errors import GatewayError
from gateway.passthrough import ROUTES
from scripts import endpoints_table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CHANGES = ROOT / "CHANGELOG.md"
PAGES = [README, CHANGES, *sorted((ROOT / "docs").glob("*.md"))]
MARKERS = ("<<<<<<< ", "=======", ">>>>>>> ")
"""How the lines begin that a conflict of a merge leaves."""
TREE_MODULE = GatewayError.__module__
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def table(page: Path, *header: str) -> list[list[str]]:
    """The cells below the one line of `page` with this header, backquotes taken off."""
    lines = iter(page.read_text().splitlines())
    wanted = list(header)
    for line in lines:
        if _cells(line) == wanted:
            next(lines)  # the rule under it
            break
    else:
        pytest.fail(f"{page.name} has no table with {wanted}")
    return [[cell.strip("`") for cell in cells] for cells in map(_cells, _rows(lines))]


def _rows(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield line


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def errors(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    """The whole tree; beside it are only the upstream's own words, whose codes are its statuses."""
    if kind.__module__ == TREE_MODULE:
        yield kind
    for heir in kind.__subclasses__():
        yield from errors(heir)


def anchor(heading: str) -> str:
    """What a heading is linked by, as the forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_readme_has_every_setting_with_its_default_and_meaning() -> None:
    documented = table(README, "variable", "default", "meaning")

    assert [[name, default, _without_quotes(meaning)] for name, default, meaning in documented] == [
        [option.name, option.default, _without_quotes(option.help)] for option in OPTIONS
    ]


def _without_quotes(text: str) -> str:
    return text.replace("`", "")


def test_every_error_is_documented_and_no_other() -> None:
    documented = [
        tuple(row[:3]) for row in table(ROOT / "docs/errors.md", "status", "type", "code", "when")
    ]

    assert sorted(documented) == sorted(
        {(str(kind.status), kind.type, kind.code) for kind in errors()}
    )


def test_anthropics_types_of_errors_are_documented() -> None:
    documented = dict(table(ROOT / "docs/errors.md", "status", "Anthropic's type"))
    others = {"any other below 500": "invalid_request_error", "any other": "api_error"}

    assert documented == {str(status): kind for status, kind in ANTHROPIC_TYPES.items()} | others


def test_the_table_of_endpoints_is_what_is_served() -> None:
    page = endpoints_table.PAGE.read_text()

    assert page == endpoints_table.with_table(page, endpoints_table.written()), (
        "write it anew: python -m scripts.endpoints_table"
    )


def test_writing_the_table_of_endpoints_leaves_the_rest_of_the_page() -> None:
    new = endpoints_table.written()
    old = "".join(new.splitlines(keepends=True)[:3])

    assert endpoints_table.with_table(f"a\n{old}\nb\n", new) == f"a\n{new}\nb\n"
    assert endpoints_table.with_table(f"a\n{old}", new) == f"a\n{new}"


def test_every_route_that_passes_is_documented_and_no_other() -> None:
    documented = [
        (access, method, path)
        for access, _, routes in table(ROOT / "docs/passthrough.md", "class", "who", "routes")
        for method, paths in re.findall(r"([A-Z]+) ((?:`?/\S+`?[ ;]*)+)", routes)
        for path in re.findall(r"/[^`; ]+", paths)
    ]

    assert sorted(documented) == sorted((r.access.value, r.method, r.path) for r in ROUTES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    broken = [target for target in targets if "://" not in target and not leads(page, target)]

    assert broken == []


def leads(page: Path, target: str) -> bool:
    name, _, fragment = target.partition("#")
    file = page.parent / name if name else page
    if not file.exists() or not fragment:
        return file.exists()
    return fragment in map(anchor, HEADING.findall(file.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_command_is_one_of_the_makefile(page: Path) -> None:
    named = set(re.findall(r"(?:`|^    |^)make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert sorted(named - targets) == []


def test_the_readme_names_the_commands_that_a_newcomer_needs() -> None:
    text = README.read_text()

    assert [name for name in ("run", "test", "demo", "check") if f"make {name}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_holds_what_a_merge_left(page: Path) -> None:
    lines = page.read_text().splitlines()

    assert [line for line in lines if line.startswith(MARKERS)] == []


def test_the_readme_leads_to_every_page() -> None:
    text = README.read_text()

    assert [page.name for page in PAGES[2:] if f"](docs/{page.name}" not in text] == []
