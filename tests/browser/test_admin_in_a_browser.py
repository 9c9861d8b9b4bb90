"""The admin as a person meets it: a server and a key are added, used, rotated and revoked."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADMIN_PASSWORD, Seen
from tests.loopback import CLIENT
from tests.processes import eventually
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm

pytestmark = pytest.mark.browser

UPSTREAM_KEY = "upstream-secret-0123456789"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def test_a_server_and_a_key_from_the_first_login_to_the_revocation(
    page: Page, aurora: str, vllm: ScriptedVllm, seen: Seen
) -> None:
    vllm.required_key = UPSTREAM_KEY
    log_in(page)
    add_server(page, vllm)
    see_its_models(page)

    first = add_key(page)
    comes_to(aurora, first, 200)
    assert models(aurora, first) == [MODEL, f"gpu-1/{MODEL}"]
    assert chat(aurora, first, f"gpu-1/{MODEL}") == load("gen_chat_plain").body
    assert [call.headers["authorization"] for call in vllm.received] == [f"Bearer {UPSTREAM_KEY}"]

    second = rotate(page)
    comes_to(aurora, second, 200)
    assert status(aurora, first) == 200  # during the overlap both work

    revoke_the_rotated_key(page)
    comes_to(aurora, first, 401)
    assert status(aurora, second) == 200

    see_the_history(page, first, second)
    assert [url for url in seen.requested if not url.startswith((aurora, "data:"))] == []
    assert seen.complaints == []


def test_a_typed_key_outlives_a_mistake_in_another_field(page: Page, vllm: ScriptedVllm) -> None:
    vllm.required_key = UPSTREAM_KEY
    log_in(page, "Latest changes")
    page.goto("/admin/providers/provider/add/")
    page.get_by_label("Name").fill("gpu-kept")
    page.get_by_label("Base URL").fill("nonsense")
    page.get_by_label("API key").fill(UPSTREAM_KEY)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("body")).to_contain_text("A URL such as")
    assert UPSTREAM_KEY not in page.content()

    page.get_by_label("Base URL").fill(vllm.url)
    outcome = page.locator("#connection-outcome")
    page.get_by_role("button", name="Test connection").click()
    expect(outcome).to_contain_text(f"It answers: 1 model. {MODEL}", use_inner_text=True)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="gpu-kept", exact=True).last.click()
    page.get_by_role("button", name="Refresh models").click()
    expect(page.locator("body")).to_contain_text("lists 1 model.")

    page.context.clear_cookies(name=re.compile("session"))
    page.get_by_role("button", name="Test connection").click()
    expect(outcome).to_contain_text("Your session has ended")
    assert page.get_by_label("Password").count() == 0
    page.get_by_role("link", name="Log in").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_wrong_password_opens_nothing(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()

    expect(page.locator("body")).to_contain_text("Please enter the correct username and password")


def log_in(page: Page, shown: str = "There is no provider yet") -> None:
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("body")).to_contain_text(shown)


def add_server(page: Page, vllm: ScriptedVllm) -> None:
    """With the connection tested from the unsaved form, first with a wrong key."""
    page.get_by_role("link", name="Add a provider").click()
    page.get_by_label("Name").fill("gpu-1")
    page.get_by_label("Base URL").fill(vllm.url.removesuffix("/v1"))
    page.get_by_label("API key").fill("wrong")
    outcome = page.locator("#connection-outcome")
    page.get_by_role("button", name="Test connection").click()
    expect(outcome).to_contain_text("refuses the API key")
    page.get_by_label("API key").fill(UPSTREAM_KEY)
    page.get_by_role("button", name="Test connection").click()
    expect(outcome).to_contain_text("It answers: 1 model.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("body")).to_contain_text("was added successfully")


def see_its_models(page: Page) -> None:
    page.get_by_role("link", name="gpu-1", exact=True).last.click()
    page.get_by_role("button", name="Refresh models").click()
    status = page.get_by_label("Status")
    expect(page.locator("body")).to_contain_text("lists 1 model.")
    expect(status).to_contain_text(f"gpu-1/{MODEL}")
    expect(page.locator("[id^=health-]")).to_contain_text(re.compile(r"\bhealthy\b"))
    expect(page.get_by_label("API key")).to_have_value("")
    assert UPSTREAM_KEY not in page.content()


def add_key(page: Page) -> str:
    page.goto("/admin/")
    page.get_by_role("link", name="Add an API key").click()
    page.get_by_label("Name").fill("Chat UI")
    page.get_by_role("button", name="Add key").click()
    return copied_secret(page)


def rotate(page: Page) -> str:
    page.get_by_role("link", name="Rotate").click()
    page.get_by_label("1 hour").check()
    page.get_by_role("button", name="Rotate").click()
    expect(page.locator("body")).to_contain_text("goes on until")
    return copied_secret(page)


def copied_secret(page: Page) -> str:
    """The secret that the page shows, by its copy button; then on to the key's own page."""
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    secret = str(page.evaluate("navigator.clipboard.readText()"))
    assert secret == page.locator("#secret").inner_text()
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_label("Status")).to_contain_text("active")
    assert secret not in page.content()
    return secret


def revoke_the_rotated_key(page: Page) -> None:
    page.goto("/admin/providers/apikey/?state=rotated")
    page.get_by_role("link", name="Chat UI", exact=True).click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke for good").click()
    expect(page.get_by_label("Status")).to_contain_text("revoked")
    expect(page.get_by_role("link", name="Rotate")).to_have_count(0)


def see_the_history(page: Page, *secrets: str) -> None:
    page.goto("/admin/auditlog/logentry/")
    page.get_by_role("link", name="20").first.click()
    expect(page.locator("body")).to_contain_text("revoked")
    page.goto("/admin/providers/provider/")
    page.get_by_role("link", name="gpu-1", exact=True).last.click()
    page.get_by_role("link", name="History").last.click()
    expect(page.locator("body")).to_contain_text("(set)")
    assert all(secret not in page.content() for secret in (*secrets, UPSTREAM_KEY))


def ask(aurora: str, key: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{aurora}/v1/models", headers=headers, **CLIENT)


def status(aurora: str, key: str) -> int:
    return ask(aurora, key).status_code


def models(aurora: str, key: str) -> list[str]:
    return [model["id"] for model in ask(aurora, key).json()["data"]]


def chat(aurora: str, key: str, model: str) -> bytes:
    """The body of a chat completion."""
    answer = httpx.post(
        f"{aurora}/v1/chat/completions",
        headers={"authorization": f"Bearer {key}"},
        json={"model": model, "messages": [{"role": "user", "content": "Hello"}]},
        **CLIENT,
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def comes_to(aurora: str, key: str, wanted: int) -> None:
    """Wait until calls with `key` are answered with this status."""
    eventually(lambda: status(aurora, key) == wanted)
