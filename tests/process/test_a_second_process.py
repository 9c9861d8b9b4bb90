"""Two processes on one database, of which one was started without the variables or the file."""

from __future__ import annotations

from pathlib import Path

from tests.process.databases import Database
from tests.process.running import START_SECONDS, Aurora, manage
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

FIRST, SECOND = "sk-of-the-first-start-0001", "sk-of-the-second-start-0002"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"


def answers(aurora: Aurora, key: str) -> bool:
    return aurora.chat(key, MODEL).is_success


def test_a_process_without_the_variables_takes_nothing_from_the_other(
    serve, vllm: ScriptedVllm
) -> None:
    vllm.required_key = "token-of-the-server"
    first = serve(
        AURORA_MASTER_KEY=FIRST, VLLM_BASE_URL=vllm.url, VLLM_API_KEY="token-of-the-server"
    )
    eventually(lambda: answers(first, FIRST), START_SECONDS)

    second = serve()

    eventually(lambda: answers(second, FIRST), START_SECONDS)
    assert answers(first, FIRST)
    said = second.messages()
    assert [line for line in said if line.startswith("provider vllm: no longer named by the env")]
    assert [line for line in said if "still accepted, though AURORA_MASTER_KEY is not set" in line]
    assert not [line for line in said if "removed" in line or "retired, since" in line]


def test_a_process_without_the_file_takes_nothing_and_a_changed_key_retires_the_one_before(
    serve, tmp_path: Path, vllm: ScriptedVllm
) -> None:
    file = tmp_path / "providers.yaml"
    file.write_text("providers: {vllm: {type: vllm, base_url: 'http://127.0.0.1:1', weight: 2}}")
    variables = {"VLLM_BASE_URL": vllm.url, "AURORA_MASTER_KEY": FIRST}
    first = serve(**variables, AURORA_CONFIG=str(file))
    eventually(lambda: answers(first, FIRST), START_SECONDS)

    without_variables = serve(AURORA_CONFIG=str(file))
    eventually(lambda: answers(without_variables, FIRST), START_SECONDS)
    assert answers(first, FIRST)

    changed = serve(**{**variables, "AURORA_MASTER_KEY": SECOND})
    eventually(lambda: answers(changed, SECOND), START_SECONDS)
    eventually(lambda: not answers(first, FIRST), START_SECONDS)
    eventually(lambda: answers(first, SECOND), START_SECONDS)
    row = first.get("/api/providers/vllm", SECOND).json()
    assert (row["weight"], list(row["unnamed"])) == (2, ["yaml"])


def test_pruning_from_a_shell_ends_it_everywhere_and_says_what(
    serve, checkout: Path, database: Database, vllm: ScriptedVllm
) -> None:
    aurora = serve(AURORA_MASTER_KEY=FIRST, VLLM_BASE_URL=vllm.url)
    eventually(lambda: answers(aurora, FIRST), START_SECONDS)

    done = manage(checkout, database.settings, "seed", "--prune")

    assert done.returncode == 0, done.stderr
    assert "provider vllm: removed, since neither environment nor YAML file names it" in done.stdout
    assert "retired, since AURORA_MASTER_KEY no longer holds it" in done.stdout
    eventually(lambda: aurora.get("/v1/models", FIRST).status_code == 401, START_SECONDS)
