"""Secrets that the documentation shows: they start Aurora, and are warned of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

from providers import chosen_secrets, seeding
from providers.chosen_secrets import EXAMPLES
from providers.models import ApiKey
from providers.seeding import keys
from tests.providers.admin_pages import KEYS, page, text

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"\b(AURORA_MASTER_KEY|AURORA_ADMIN_PASSWORD|AURORA_SECRET_KEYS)=([^\s`\"'$…]+)")
PAGES = [ROOT / "README.md", ROOT / "compose.yaml", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = "sk-aurora-0123456789abcdef"
WARNED = "an example of the documentation"


def test_every_secret_that_the_documentation_shows_is_known_to_be_an_example() -> None:
    shown = {found for each in PAGES for found in SHOWN.findall(each.read_text())}

    assert shown == {(name, value) for name, values in EXAMPLES.items() for value in values}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_warned_of_by_its_variable_and_not_repeated(
    name: str, tmp_path: Path
) -> None:
    [value, *_] = EXAMPLES[name]

    seeds = seeding.read({name: f"{value}"}, config_path="", base_dir=tmp_path)

    [warning] = seeds.warnings
    assert warning.startswith(f"{name}: WARNING: ")
    assert value not in warning


def test_an_example_among_several_keys_is_warned_of_too() -> None:
    assert chosen_secrets.warnings({"AURORA_MASTER_KEY": f"another-key-0123456789,{EXAMPLE}"})
    assert not chosen_secrets.warnings({"AURORA_MASTER_KEY": "another-key-0123456789"})


@pytest.mark.parametrize(
    ("value", "warned"),
    [
        ("1" * 32, True),
        ("0123456789abcdef" * 2, False),
        (f"{'0123456789abcdef' * 4},{'x' * 32}", True),
    ],
)
def test_a_keyring_that_may_be_guessed_is_warned_of(value: str, warned: bool) -> None:
    told = chosen_secrets.warnings({"AURORA_SECRET_KEYS": value})

    assert bool(told) == warned
    assert not warned or told[0].startswith("AURORA_SECRET_KEYS: WARNING: a secret of it may be")


@pytest.mark.django_db
def test_the_admin_flags_a_key_that_everybody_knows_until_it_is_over(admin_client: Client) -> None:
    keys.seed_master_keys([EXAMPLE, "another-key-0123456789"])
    known, other = (ApiKey.objects.holding(s) for s in (EXAMPLE, "another-key-0123456789"))
    assert known
    assert other

    assert WARNED in text(admin_client.get("/admin/"))
    assert WARNED in text(admin_client.get(page(known)))
    assert WARNED not in text(admin_client.get(page(other)))
    assert "known to everybody" in text(admin_client.get(KEYS))

    known.revoke()
    for address in ("/admin/", page(known), KEYS):
        shown = text(admin_client.get(address))
        assert WARNED not in shown
        assert "known to everybody" not in shown
