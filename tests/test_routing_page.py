"""docs/routing.md names the tests that hold what it claims: they are there, and no section is without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/routing.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`((?:tests/[\w/]*|)(?:test_\w+\.py|(?<=/)))`")
SECTIONS = dict(
    re.findall(r"^## (.+)\n((?:.*\n)*?)(?=^## |\Z)", PAGE, re.MULTILINE),
)
CLAIMS = re.findall(r"^\*\*(.+?)\*\*(.*)$", PAGE, re.MULTILINE)
"""The paragraphs that begin in bold."""


def found(name: str) -> list[Path]:
    """What `name` means: a path of the project, or a file by its name alone."""
    if "/" in name:
        return [path for path in [ROOT / name] if path.exists()]
    return list((ROOT / "tests").rglob(name))


def test_the_page_has_sections_and_claims_and_names_tests() -> None:
    assert len(SECTIONS) > 4
    assert len(CLAIMS) > 8
    assert {"tests/gateway/pure/resuming/", "test_affinity.py"} <= set(NAMED.findall(PAGE))


@pytest.mark.parametrize("name", sorted(set(NAMED.findall(PAGE))))
def test_a_test_that_is_named_is_there_and_is_the_only_one_meant(name: str) -> None:
    assert len(found(name)) == 1, f"{name!r} is {found(name) or 'nowhere'}"


@pytest.mark.parametrize("title", SECTIONS)
def test_each_section_names_a_test(title: str) -> None:
    assert NAMED.search(SECTIONS[title]), title


@pytest.mark.parametrize(("claim", "text"), CLAIMS)
def test_each_claim_names_a_test(claim: str, text: str) -> None:
    assert NAMED.search(text), claim


def test_nothing_that_looks_like_a_test_is_overlooked() -> None:
    assert sorted(re.findall(r"test_\w+\.py", PAGE)) == sorted(
        name.rpartition("/")[2] for name in NAMED.findall(PAGE) if name.endswith(".py")
    )
