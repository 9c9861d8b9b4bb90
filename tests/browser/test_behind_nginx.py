"""The admin and a chat page in a browser, with a real nginx between them and Aurora."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import nginx
from tests.browser.conftest import ADMIN_PASSWORD, FLAGS
from tests.process.running import ROOT
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

pytestmark = pytest.mark.browser

MASTER_KEY = "sk-aurora-of-the-page-0123456789"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
NAME = "aurora.lan"
"""A name that is not this machine's own: Chromium sends no Fetch Metadata there without TLS."""
DOCUMENTED = re.search(
    r"```nginx\n(.*?)```", (ROOT / "docs" / "behind-a-proxy.md").read_text(), re.DOTALL
)[1]  # type: ignore[index] # no block: the import fails, as it should
CHAT_PAGE = """
async ([url, key, model]) => {
    const answer = await fetch(url + "/v1/chat/completions", {
        method: "POST",
        headers: {"Authorization": "Bearer " + key, "Content-Type": "application/json"},
        body: JSON.stringify({model, stream: true, messages: [{role: "user", content: "Hello"}]}),
    });
    return [answer.status, answer.headers.get("x-request-id"), await answer.text()];
}
"""


@pytest.fixture(scope="module")
def lan_browser(chromium: str) -> Iterator[Browser]:
    """Finds every name on this machine."""
    flags = [*FLAGS, f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_an_operator_logs_in_through_the_documented_nginx(lan_browser, serve, tmp_path):
    aurora = serve(AURORA_ADMIN_PASSWORD=ADMIN_PASSWORD)
    with nginx.nginx(tmp_path, DOCUMENTED, aurora.port) as port:
        page = lan_browser.new_page()
        log_in(page, f"http://{NAME}:{port}")

        expect(page.get_by_role("link", name="Providers").first).to_be_visible()


def test_an_operator_behind_an_nginx_with_its_defaults_is_told_the_missing_line(
    lan_browser, serve, tmp_path
):
    aurora = serve(AURORA_ADMIN_PASSWORD=ADMIN_PASSWORD)
    with nginx.nginx(tmp_path, nginx.DEFAULTS, aurora.port) as port:
        page = lan_browser.new_page()
        log_in(page, f"http://{NAME}:{port}")

        told = page.locator("main")
        expect(told).to_contain_text("proxy_set_header Host $http_host")
        expect(told).to_contain_text(f"AURORA_PUBLIC_URL=http://{NAME}:{port}")


def test_on_localhost_an_nginx_with_its_defaults_is_enough(lan_browser, serve, tmp_path):
    aurora = serve(AURORA_ADMIN_PASSWORD=ADMIN_PASSWORD)
    with nginx.nginx(tmp_path, nginx.DEFAULTS, aurora.port) as port:
        page = lan_browser.new_page()
        log_in(page, f"http://localhost:{port}")

        expect(page.get_by_role("link", name="Providers").first).to_be_visible()


@pytest.mark.parametrize("servers", [DOCUMENTED, nginx.DEFAULTS], ids=["documented", "defaults"])
def test_a_chat_page_streams_an_answer_through_nginx(
    lan_browser, serve, tmp_path, vllm: ScriptedVllm, servers
):
    """The page is of another origin: the scripted server's, which AURORA_CORS_ORIGINS names."""
    pieces = [b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n"]
    vllm.will_stream(*pieces, always=True)  # the page asks for an icon, too
    origin = vllm.url.removesuffix("/v1")
    aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY,
        AURORA_CORS_ORIGINS=f"https://other.example, {origin}",
        VLLM_BASE_URL=vllm.url,
    )
    eventually(lambda: aurora.get("/ready").is_success)
    with nginx.nginx(tmp_path, servers, aurora.port) as port:
        page = lan_browser.new_page()
        page.goto(f"{origin}/health")
        status, request_id, text = page.evaluate(
            CHAT_PAGE, [f"http://localhost:{port}", MASTER_KEY, MODEL]
        )

    assert (status, text.encode()) == (200, b"".join(pieces))
    assert aurora.call_line(request_id)["status"] == 200
