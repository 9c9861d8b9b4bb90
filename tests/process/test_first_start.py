"""The first start, with nothing set at all, and the second."""

from __future__ import annotations

import contextlib
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings

from tests.process.databases import Database
from tests.process.running import Aurora

MASTER_KEY = "sk-of-the-second-start"


def test_nothing_but_a_place_for_the_data_is_needed_to_start(
    checkout: Path, empty_database: Database
) -> None:
    with Aurora(checkout, empty_database.settings) as aurora:
        front = aurora.get("/")
        health, ready = aurora.get("/health"), aurora.get("/ready")
        call, listing = aurora.chat("a-guess", "vllm/llama"), aurora.get("/v1/models")
        page = aurora.get("/admin/", follow_redirects=True)
        style = aurora.get("/static/unfold/css/styles.css")

    assert (front.status_code, front.headers["location"]) == (302, "/admin/")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["error"]["code"]) == (503, "not_ready")
    assert [call.status_code, listing.status_code] == [401, 401]
    assert call.json()["error"]["code"] == listing.json()["error"]["code"] == "invalid_api_key"
    assert any("set AURORA_MASTER_KEY" in message for message in aurora.messages())
    assert (page.status_code, page.url.path) == (200, "/admin/login/")
    assert style.status_code == 200


def test_processes_that_start_at_once_on_an_empty_database_all_serve(
    checkout: Path, empty_database: Database
) -> None:
    with ThreadPoolExecutor() as starting, contextlib.ExitStack() as stack:
        starts = [starting.submit(Aurora, checkout, empty_database.settings) for _ in range(3)]
        for start in starts:
            if start.exception() is None:
                assert stack.enter_context(start.result()).get("/health").is_success
        assert [start.exception() for start in starts] == [None] * 3


@pytest.mark.skipif(
    bool(settings.OPTIONS["DATABASE_URL"]), reason="another database needs a keyring given"
)
def test_the_keyring_is_made_once_and_for_its_owner_alone(
    checkout: Path, database: Database, tmp_path: Path
) -> None:
    keyring = tmp_path / "data" / "keyring"
    with Aurora(checkout, database.settings):
        made = keyring.read_text()
    with Aurora(checkout, {**database.settings, "AURORA_MASTER_KEY": MASTER_KEY}) as aurora:
        listing = aurora.get("/v1/models", MASTER_KEY)

    assert stat.S_IMODE(keyring.stat().st_mode) == 0o600
    assert len(made.strip()) == 64
    assert keyring.read_text() == made
    assert listing.status_code == 200
