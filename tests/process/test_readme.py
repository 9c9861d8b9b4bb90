"""The README's blocks, run as they are printed; only the ports are others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.loopback import CLIENT
from tests.patience import PATIENCE_SECONDS
from tests.process.databases import FILE_NAME, Database
from tests.process.operators import Operator
from tests.process.running import ROOT, Aurora, Running, copy_program
from tests.processes import clean_environment, eventually, free_port
from tests.scripted_vllm import ScriptedVllm

README = (ROOT / "README.md").read_text()


def blocks(heading: str) -> list[str]:
    """The shell blocks below a heading, as they stand there."""
    [section] = re.findall(rf"^## {heading}$(.*?)^## ", README, re.DOTALL | re.MULTILINE)
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


[ENV_FILE] = blocks("Run it, test it")
[SEVERAL] = blocks("Several processes")
BLOCKS = blocks("Four ways to put a server behind it")
EXAMPLES = list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True))
MAKE = f'make() {{ [ "$*" = run ] && exec {sys.executable} manage.py serve; }}\n'
"""What `make run` does once the requirements are installed."""
LOOPBACK = {"AURORA_HOST": "127.0.0.1"}
CURL_SETTINGS = 'silent\nshow-error\nno-buffer\nwrite-out = "\\n%{http_code}"\n'


def with_ports(block: str, ports: Mapping[int, int]) -> str:
    """`block` with other ports. Each must be one that the README means."""
    return re.sub(r"(?<=localhost:)\d+", lambda found: str(ports[int(found[0])]), block)


def start(block: str, checkout: Path, database: Database, ports: Mapping[int, int]) -> Aurora:
    """What the first block of an example starts."""
    settings = {**database.settings, "AURORA_PORT": str(ports[8080])}
    return Aurora(checkout, settings, ["bash", "-euc", MAKE + with_ports(block, ports)])


def run(block: str, folder: Path, ports: Mapping[int, int]) -> str:
    """The body that the second block of an example gets. AssertionError unless with status 200."""
    (folder / ".curlrc").write_text(CURL_SETTINGS)
    done = subprocess.run(
        ["bash", "-euc", with_ports(block, ports)],
        env=clean_environment({"CURL_HOME": str(folder), "no_proxy": "localhost"}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    body, _, status = done.stdout.rpartition("\n")
    assert (done.returncode, status) == (0, "200"), done
    return body


@pytest.fixture
def second() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        yield server


@pytest.fixture
def example(  # noqa: PLR0917 - pytest passes fixtures by name
    request: pytest.FixtureRequest,
    checkout: Path,
    database: Database,
    tmp_path: Path,
    vllm: ScriptedVllm,
    second: ScriptedVllm,
) -> Iterator[str]:
    """The body that the README's example of this number ends with. The second server has a key."""
    first_block, last_block = EXAMPLES[request.param]
    second.required_key = "token-def456"
    vllm.required_key = "token-abc123" if "VLLM_API_KEY" in first_block else None
    ports = {8000: vllm.port, 8001: second.port, 8080: free_port()}
    with start(first_block, checkout, database, ports) as aurora:
        wanted = first_block.count("_BASE_URL=")
        key = re.search(r"Bearer (\S+)\"", last_block)
        assert key
        eventually(lambda: len(aurora.models(key[1])) == wanted)
        yield run(last_block, tmp_path, ports)


def test_there_are_four_examples() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("example", [0], indirect=True)
def test_a_server_without_a_key_answers_a_chat(example: str, vllm: ScriptedVllm) -> None:
    assert json.loads(example)["choices"][0]["message"]["role"] == "assistant"
    assert vllm.received[0].json["model"] == "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize("example", [1], indirect=True)
def test_a_server_with_a_key_lists_its_model(example: str) -> None:
    _, card = json.loads(example)["data"]
    assert card["id"] == "vllm/meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize("example", [2], indirect=True)
def test_of_two_servers_the_named_one_streams(
    example: str, vllm: ScriptedVllm, second: ScriptedVllm
) -> None:
    assert example.rstrip().endswith("data: [DONE]")
    assert len(second.received) == 1
    assert vllm.received == []


@pytest.mark.parametrize("example", [3], indirect=True)
def test_the_passthrough_reaches_the_servers_own_route(example: str, vllm: ScriptedVllm) -> None:
    assert json.loads(example)["tokens"]
    assert vllm.received[0].path == "/tokenize"


def test_the_env_file_pasted_as_it_stands_starts_and_its_key_and_password_hold(
    database: Database, tmp_path: Path, vllm: ScriptedVllm
) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = copy_program(tmp_path / "checkout")
    (checkout / ".env").write_text(with_ports(ENV_FILE, {8000: vllm.port}))

    with Aurora(checkout, database.settings) as aurora:
        eventually(lambda: aurora.models("choose-your-own"))
        with Operator(aurora.url, "choose-your-own-too") as operator:
            assert operator.id_of("vllm")
        for name in ("AURORA_MASTER_KEY", "AURORA_ADMIN_PASSWORD"):
            [warned] = [each for each in aurora.messages("warning") if each.startswith(name)]
            assert "WARNING: it holds an example of the documentation" in warned
        assert "choose-your-own" not in aurora.written


def test_several_processes_started_as_printed_share_the_keys_and_servers_of_one(
    database: Database, tmp_path: Path, vllm: ScriptedVllm
) -> None:
    """The block runs with nothing else set; what makes keys and servers was seeded before."""
    (tmp_path / "checkout").mkdir()
    checkout = copy_program(tmp_path / "checkout")
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    key, url = "sk-of-one-process-0123456789", database_url(database)
    ports = {8081: free_port(), 8082: free_port()}
    block = SEVERAL.replace("postgres://aurora:password@db/aurora", url)
    block = re.sub(r"(?<=AURORA_PORT=)\d+", lambda found: str(ports[int(found[0])]), block)
    exports, *_ = block.splitlines()
    seeding = f"{exports}\nAURORA_MASTER_KEY={key} VLLM_BASE_URL={vllm.url} {python} manage.py seed"
    subprocess.run(["bash", "-euc", seeding], cwd=checkout, env=clean_environment(), check=True)

    script = f"trap 'kill $(jobs -p)' TERM\n{block}wait || wait\n"
    with Running(["bash", "-uc", script], cwd=checkout, settings=LOOPBACK) as both:
        for port in ports.values():
            eventually(lambda: _listed(port, key), PATIENCE_SECONDS)  # noqa: B023 - at once
        assert "retired, since" not in both.written
        assert "removed" not in both.written


def database_url(database: Database) -> str:
    """The test's own database, as a URL whichever kind it is."""
    file = Path(database.settings["AURORA_DATA_DIR"]) / FILE_NAME
    return database.settings.get("DATABASE_URL", f"sqlite:///{file}")


def _listed(port: int, key: str) -> bool:
    """Whether the process at this port lists a model to the holder of the key."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/v1/models", headers=headers, **CLIENT)
    except httpx.TransportError:
        return False
    return answer.is_success and bool(answer.json()["data"])
