"""Keys chosen in the list, rotated together, saved as CSV and never seen again."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADMIN_PASSWORD, Seen

pytestmark = pytest.mark.browser
KEYS = "/admin/providers/apikey/"


def test_keys_are_rotated_together_and_their_secrets_saved_once(
    page: Page, seen: Seen, tmp_path: Path
) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    for name in ("Chat UI", "=HYPERLINK(1)"):
        page.goto(f"{KEYS}add/")
        page.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Add key").click()
        expect(page.locator("#secret")).to_contain_text("aurora-")

    choose_all(page, "rotate_selected")
    expect(page.locator("body")).to_contain_text("Rotate 2 API keys?")
    page.get_by_role("button", name="Rotate", exact=True).click()
    expect(page.locator("body")).to_contain_text("Save the keys now")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as CSV").click()
    download.value.save_as(tmp_path / "keys.csv")

    with (tmp_path / "keys.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["name", "hint", "secret"]
    assert sorted(row[0] for row in rows) == ["'=HYPERLINK(1)", "Chat UI"]
    shown = page.content()
    assert [row[2] in shown for row in rows] == [True, True]

    page.reload()
    expect(page.locator("body")).to_contain_text("Nothing was changed.")
    assert [row[2] for row in rows if row[2] in page.content()] == []
    assert seen.complaints == []


def choose_all(page: Page, action: str) -> None:
    page.goto(KEYS)
    for box in page.locator("input[name=_selected_action]").all():
        box.check()
    page.locator("select[name=action]").select_option(action)
    page.locator("button[name=index]").click()
