"""A real Aurora process, and the system's Chromium in front of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
ADMIN_PASSWORD = "a-password-for-the-browser"
START_SECONDS = 60
WAIT_SECONDS = 30
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
def aurora(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of `manage.py serve`, begun on an empty data folder."""
    tmp_path = tmp_path_factory.mktemp("aurora")
    ours = {
        "AURORA_DATA_DIR": str(tmp_path / "data"),
        "AURORA_HOST": "127.0.0.1",
        "AURORA_PORT": "0",
        "AURORA_ADMIN_PASSWORD": ADMIN_PASSWORD,
    }
    foreign = ("AURORA_", "VLLM_", "DATABASE_URL", "DJANGO_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"],
            cwd=ROOT,
            env=kept | ours,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            said = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if "port" in said and said.get("logger") == "aurora.serve":
                return f"http://127.0.0.1:{said['port']}"
        time.sleep(0.1)
    pytest.fail(f"Aurora does not listen:\n{log.read_text()}")


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=WAIT_SECONDS * 1000)
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
    page = context.new_page()
    page.set_default_timeout(WAIT_SECONDS * 1000)
    page.on("request", lambda request: seen.requested.add(request.url))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("console", seen.note_console)
    yield page
    context.close()
