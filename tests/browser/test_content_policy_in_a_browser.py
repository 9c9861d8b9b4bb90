"""A browser that keeps to the pages' Content-Security-Policy shows and does all that they offer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADMIN_PASSWORD, Seen
from tests.browser.test_many_keys_in_a_browser import choose_all
from tests.process.running import Aurora

pytestmark = pytest.mark.browser

MASTER = "aurora-master-key-of-the-browser-0123456789"
PROVIDERS, KEYS = "/admin/providers/provider/", "/admin/providers/apikey/"
PAGES = (
    "/admin/",
    PROVIDERS,
    f"{PROVIDERS}add/",
    f"{PROVIDERS}add-several",
    KEYS,
    f"{KEYS}add/",
    "/admin/auditlog/logentry/",
    "/admin/providers/alias/",
    "/admin/providers/alias/add/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/auth/group/add/",
    "/admin/password_change/",
)


@pytest.fixture(scope="module")
def aurora(
    chromium: str, checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    settings = {
        "AURORA_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "AURORA_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "AURORA_MASTER_KEY": MASTER,
        "VLLM_BASE_URL": "http://127.0.0.1:1/v1",
    }
    with Aurora(checkout, settings) as running:
        yield running.url


@pytest.fixture
def admin(page: Page) -> Page:
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("body")).to_contain_text("Latest changes")
    return page


def test_no_page_breaks_its_policy(admin: Page, seen: Seen) -> None:
    for path in PAGES:
        answer = admin.goto(path, wait_until="load")
        assert answer is not None
        assert answer.status == 200, path
        admin.wait_for_function("window.Alpine !== undefined && window.htmx !== undefined")
    admin.goto(PROVIDERS)
    admin.locator("#result_list tbody th a").first.click()
    expect(admin.get_by_role("button", name="Drain")).to_be_visible()
    assert seen.complaints == []


def test_what_a_page_does_in_the_browser_works(admin: Page, seen: Seen) -> None:
    admin.goto(PROVIDERS)
    filters = admin.locator("#changelist-filter")
    expect(filters).to_be_hidden()
    admin.get_by_text("Filters", exact=False).first.click()
    expect(filters).to_be_visible()
    admin.keyboard.press("Escape")
    expect(filters).to_be_hidden()

    for theme, classes in (
        ("Dark", re.compile(r"\bdark\b")),
        ("Light", re.compile(r"^(?!.*dark)")),
    ):
        admin.locator("a[x-on\\:click^=switchTheme]", has_text=theme).first.dispatch_event("click")
        expect(admin.locator("html")).to_have_class(classes)
    assert seen.complaints == []


def test_the_pages_for_many_keys_keep_to_it(admin: Page, seen: Seen) -> None:
    admin.goto(f"{KEYS}add/")
    admin.get_by_label("Name").fill("Chat UI")
    admin.get_by_role("button", name="Add key").click()
    admin.get_by_role("button", name="Copy").click()
    expect(admin.get_by_role("button", name="Copied")).to_be_visible()
    for action in ("rotate_selected", "revoke_selected"):
        choose_all(admin, action)
        expect(admin.locator("h1, h2").first).to_be_visible()
    assert seen.complaints == []


def test_a_script_within_a_page_does_not_run_and_is_reported(admin: Page, seen: Seen) -> None:
    admin.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
        }"""
    )

    assert admin.evaluate("window.ran") is None
    assert any("policy violated: script-src" in each for each in seen.complaints)


def test_a_page_that_only_refuses_keeps_to_its_policy(admin: Page, seen: Seen) -> None:
    answer = admin.goto("/admin/nothing/")
    assert answer is not None
    assert answer.status == 404
    expect(admin.locator("h1")).to_have_css("font-size", "24px")
    assert [each for each in seen.complaints if "404" not in each] == []
