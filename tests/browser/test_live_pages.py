"""Pages that show providers keep up in a browser, without being loaded again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from json import dumps
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADMIN_PASSWORD, Seen
from tests.loopback import CLIENT
from tests.patience import PATIENCE_SECONDS
from tests.process.running import Aurora

pytestmark = pytest.mark.browser

MASTER = "aurora-master-key-of-the-browser-0123456789"
NAME, OTHER = "gpu-1", "gpu-2"
LATER = timedelta(hours=1)
"""Rows written for the test are of the future: no process's own doings make them old."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def aurora(chromium: str, checkout: Path, data: Path) -> Iterator[str]:
    settings = {
        "AURORA_DATA_DIR": str(data),
        "AURORA_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "AURORA_MASTER_KEY": MASTER,
    }
    with Aurora(checkout, settings) as running:
        yield running.url


@pytest.fixture(autouse=True)
def server(aurora: str) -> Iterator[None]:
    call(aurora, "POST", "", {"name": NAME, "base_url": "http://127.0.0.1:1"})
    yield
    call(aurora, "DELETE", f"/{NAME}")


@pytest.mark.parametrize("where", ["overview", "list", "its own page"])
def test_a_change_appears_without_a_reload(
    page: Page, aurora: str, data: Path, seen: Seen, where: str
) -> None:
    open_page(page, where)
    page.evaluate("window.notReloaded = true")
    expect(page.locator("[id^=health-]")).not_to_contain_text("draining")
    expect(page.locator("[id^=load-]")).to_contain_text("0 in flight")

    call(aurora, "PATCH", f"/{NAME}", {"draining": True})
    expect(page.locator("[id^=health-]")).to_contain_text("none is running any more")

    report(data, in_flight=3)
    expect(page.locator("[id^=health-]")).to_contain_text("3 calls are still running")
    expect(page.locator("[id^=load-]")).to_contain_text("3 in flight")
    assert page.evaluate("window.notReloaded") is True
    assert seen.complaints == []


def test_the_worst_server_stands_first_on_an_open_overview(page: Page, aurora: str) -> None:
    call(aurora, "POST", "", {"name": OTHER, "base_url": "http://127.0.0.1:1"})
    try:
        open_page(page, "overview")
        page.evaluate("window.notReloaded = true")
        call(aurora, "PATCH", f"/{NAME}", {"draining": True})
        expect(page.locator("[id^=server-]")).to_have_text([OTHER, NAME])

        call(aurora, "PATCH", f"/{NAME}", {"draining": False})
        call(aurora, "PATCH", f"/{OTHER}", {"draining": True})
        expect(page.locator("[id^=server-]")).to_have_text([NAME, OTHER])

        call(aurora, "PATCH", f"/{OTHER}", {"enabled": False})
        expect(page.locator("[id^=server-]")).to_have_text([NAME])
        assert page.evaluate("window.notReloaded") is True
        page.get_by_role("link", name="Show all").click()
        expect(page.locator("[id^=server-]")).to_have_text([NAME, OTHER])
    finally:
        call(aurora, "DELETE", f"/{OTHER}")


def test_a_page_whose_user_is_logged_out_says_so_and_asks_no_more(page: Page, seen: Seen) -> None:
    open_page(page, "list")
    page.context.clear_cookies()

    expect(page.locator("#live")).to_contain_text("no longer refreshes itself")
    expect(page.locator("#live[hx-get]")).to_have_count(0)
    assert page.get_by_label("Password").count() == 0
    assert not page.locator("[id^=health-]").inner_html().count("<form")
    assert seen.complaints == []


def open_page(page: Page, where: str) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("body")).to_contain_text("Latest changes")
    if where != "overview":
        page.goto("/admin/providers/provider/")
    if where == "its own page":
        page.get_by_role("link", name=NAME, exact=True).last.click()
        expect(page.get_by_role("button", name="Drain")).to_be_visible()


def call(aurora: str, method: str, path: str, body: object = None) -> None:
    headers = {"authorization": f"Bearer {MASTER}"}
    answer = httpx.request(
        method, f"{aurora}/api/providers{path}", headers=headers, json=body, **CLIENT
    )
    assert answer.is_success, answer.text


def report(data: Path, **members: object) -> None:
    """Write, past Aurora, what another process of the installation would report of the server."""
    with sqlite3.connect(data / "aurora.sqlite3", timeout=PATIENCE_SECONDS) as database:
        [pk] = database.execute(
            "SELECT id FROM providers_provider WHERE name = ?", [NAME]
        ).fetchone()
        dashed = f"{pk[:8]}-{pk[8:12]}-{pk[12:16]}-{pk[16:20]}-{pk[20:]}"
        written = (datetime.now(UTC) + LATER).strftime("%Y-%m-%d %H:%M:%S")
        database.execute(
            "INSERT INTO providers_process (id, written, reports, usage) VALUES (?, ?, ?, ?)",
            [uuid4().hex, written, dumps({dashed: members}), "{}"],
        )
    database.close()
