"""What a person reads who starts Aurora on a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aurora_site.welcome import Welcome, command

URL = "http://localhost:8080"


def test_a_furnished_start_says_where_everything_is():
    told = Welcome(URL, "", ["vllm", "vllm-test"], has_keys=True).text()

    assert told == (
        "\n"
        "  Aurora serves http://localhost:8080\n"
        "\n"
        "  Admin    http://localhost:8080/admin/\n"
        "  Servers  vllm, vllm-test\n"
        "  Keys     calls go to http://localhost:8080/v1 with a key\n"
        "  Stop     Ctrl-C; running calls are finished first\n"
    )


def test_an_empty_start_says_what_to_do():
    told = Welcome(URL, "/admin/first-login/x/", [], has_keys=False).text()

    assert "  Admin    There is no administrator yet." in told
    assert "\n           http://localhost:8080/admin/first-login/x/\n" in told
    assert "set VLLM_BASE_URL" in told
    assert "set AURORA_MASTER_KEY" in told


def test_a_command_is_told_as_it_runs_from_the_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/srv/aurora/.venv/bin/python")

    assert command("seed", folder=Path("/srv/aurora")) == ".venv/bin/python manage.py seed"
    assert command("seed", folder=Path("/app")) == "/srv/aurora/.venv/bin/python manage.py seed"
