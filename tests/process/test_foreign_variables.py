"""Variables that are not Aurora's, or nearly: told, and in the way of no command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.databases import Database
from tests.process.running import Aurora, copy_program, manage

INJECTED = {
    "AURORA_PORT": "tcp://10.96.0.12:8080",
    "AURORA_SERVICE_HOST": "10.96.0.12",
    "VLLM_PORT": "tcp://10.96.0.14:8000",
    "VLLM_SERVICE_PORT_MODELS": "8000",
}
MISSPELT = {"AURORA_MASTERKEY": "hunter2-hunter2-hunter2"}
VARIABLES = {**INJECTED, **MISSPELT, "VLLM_LOGGING_LEVEL": "DEBUG"}


@pytest.fixture
def own_checkout(tmp_path: Path) -> Path:
    """With an `.env` that says the port, which the variable of Kubernetes hides in no way."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / ".env").write_text("AURORA_HOST=127.0.0.1\nAURORA_PORT=0\n")
    return copy_program(folder)


def test_a_pod_beside_a_service_named_aurora_starts_and_says_what_it_ignores(
    own_checkout: Path, database: Database
) -> None:
    with Aurora(own_checkout, {**database.settings, **VARIABLES}) as aurora:
        assert aurora.get("/health").is_success
        said = aurora.messages()

    [injected] = [line for line in said if "set by Kubernetes" in line]
    assert injected.startswith("AURORA_PORT, AURORA_SERVICE_HOST, VLLM_PORT and 1 more: ")
    misspelt = "AURORA_MASTERKEY: has no effect; did you mean AURORA_MASTER_KEY?"
    assert misspelt in aurora.messages("warning")
    assert "hunter2" not in aurora.written


@pytest.mark.parametrize("command", ["check", "seed"])
def test_other_commands_tell_of_variables_of_kubernetes_too(
    own_checkout: Path, database: Database, command: str
) -> None:
    done = manage(own_checkout, {**database.settings, **VARIABLES}, command)

    assert done.returncode == 0, done.stderr
    assert "AURORA_PORT, AURORA_SERVICE_HOST, VLLM_PORT and 1 more: " in done.stderr
    assert "did you mean AURORA_MASTER_KEY?" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
