"""A real Aurora process, and the system's Chromium in front of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.patience import PATIENCE_SECONDS
from tests.process.conftest import checkout, database, migrated, serve
from tests.process.running import Aurora

__all__ = ["checkout", "database", "migrated", "serve"]

ADMIN_PASSWORD = "a-password-for-the-browser"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error("policy violated:", event.effectiveDirective, event.blockedURI));
"""
REQUIRED = "AURORA_TEST_BROWSER"


@dataclass
class Seen:
    """What the browser did besides showing pages."""

    requested: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is. Without it these tests are skipped, or fail where they are required."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    reason = "NOT RUN: the admin in a browser needs Chromium (Debian: apt install chromium)"
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def aurora(
    chromium: str, checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The base URL of `manage.py serve`, begun on an empty data folder."""
    settings = {
        "AURORA_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "AURORA_ADMIN_PASSWORD": ADMIN_PASSWORD,
    }
    with Aurora(checkout, settings) as running:
        yield running.url


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One for all tests of a module; each has a context, with its cookies, of its own."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_SECONDS * 1000)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def page(browser: Browser, aurora: str, seen: Seen) -> Iterator[Page]:
    """An empty page. What it asks for, and what goes wrong in it, is `seen`."""
    context = browser.new_context(base_url=aurora, viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=aurora)
    context.add_init_script(REPORT_VIOLATIONS)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    page.on("request", lambda request: seen.requested.add(request.url))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("console", seen.note_console)
    yield page
    context.close()
