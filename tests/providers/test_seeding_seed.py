"""The whole of seeding: everything or nothing, and the same again."""

from __future__ import annotations

from pathlib import Path

import pytest
from auditlog.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from aurora_site import environment
from providers import revision, seeding
from providers.models import ApiKey, Provider
from providers.seeding import SeedError

pytestmark = pytest.mark.django_db

ENVIRON = {
    "VLLM_BASE_URL": "http://gpu-1:8000",
    "VLLM_TEST_API_KEY": "upstream-secret",
    "AURORA_MASTER_KEY": "a-master-key-of-32-characters-00",
    "AURORA_ADMIN_PASSWORD": "admin-secret",
}
YAML = "providers:\n  vllm: {type: vllm, api_key: '${GPU_KEY}', idle_seconds: 9}\n"


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def seed(environ: dict[str, str], *, config_path: str, base_dir: Path) -> list[str]:
    """Seed as a process does at its start."""
    return seeding.write(seeding.read(environ, config_path=config_path, base_dir=base_dir))


def empty() -> bool:
    return not any(m.objects.exists() for m in (Provider, ApiKey, get_user_model(), LogEntry))


def test_nothing_set_at_all_is_fine(tmp_path):
    superuser, access = reversed(seed({}, config_path="", base_dir=tmp_path))

    assert access.startswith("No key means no access")
    assert superuser.startswith("There is no administrator")
    assert empty()


def test_environment_and_default_file_are_seeded_once(tmp_path):
    (tmp_path / "config.yaml").write_text(YAML, encoding="utf-8-sig")
    environ = {**ENVIRON, "GPU_KEY": "from-variable"}

    done = seed(environ, config_path="", base_dir=tmp_path)

    assert done == [
        "provider vllm: added from the environment",
        "provider vllm-test: added from the environment",
        "AURORA_MASTER_KEY: added as a master key",
        "superuser admin: added with AURORA_ADMIN_PASSWORD",
    ]
    row = Provider.objects.get(name="vllm")
    assert (row.base_url, row.api_key) == ("http://gpu-1:8000/v1", "from-variable")
    assert row.idle_seconds == 9
    before = (revision.current(), LogEntry.objects.count())
    assert seed(environ, config_path="", base_dir=tmp_path) == []
    assert (revision.current(), LogEntry.objects.count()) == before


def test_the_history_says_that_the_environment_did_it(tmp_path):
    seed(ENVIRON, config_path="", base_dir=tmp_path)

    entries = LogEntry.objects.all()
    assert {entry.additional_data["by"] for entry in entries} == {"environment"}
    assert {entry.actor for entry in entries} == {None}


def test_a_named_file_is_read_instead_of_the_default(tmp_path):
    (tmp_path / "config.yaml").write_text("nonsense")
    (tmp_path / "mine.yaml").write_text("providers: {mine: {type: vllm}}")

    seed({}, config_path="mine.yaml", base_dir=tmp_path)
    assert Provider.objects.get().name == "mine"

    seed({}, config_path=str(tmp_path / "mine.yaml"), base_dir=tmp_path)
    assert Provider.objects.get().name == "mine"


def test_a_named_file_must_exist(tmp_path):
    with pytest.raises(SeedError, match=r"AURORA_CONFIG: .*mine\.yaml: there is no such file"):
        seed({}, config_path="mine.yaml", base_dir=tmp_path)


@pytest.mark.parametrize("config_path", ["", "config.yaml"])
def test_a_file_that_cannot_be_read_is_told(tmp_path, config_path):
    (tmp_path / "config.yaml").mkdir()

    with pytest.raises(SeedError, match=r"config\.yaml: cannot be read: Is a directory"):
        seed({}, config_path=config_path, base_dir=tmp_path)


def test_a_file_in_another_encoding_is_told(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"providers: {\xff: 1}")

    with pytest.raises(SeedError, match=r"config\.yaml: not UTF-8 text"):
        seed({}, config_path="", base_dir=tmp_path)


def test_every_problem_is_told_and_nothing_is_written(tmp_path):
    (tmp_path / "config.yaml").write_text("providers: {a: {}}")
    environ = {
        **ENVIRON,
        "VLLM_BASE_URL": "foo",
        "AURORA_MASTER_KEY": "hunter2 hunter2",
        "AURORA_ADMIN_PASSWORD": "\udcff",
    }

    with pytest.raises(SeedError) as refusal:
        seed(environ, config_path="", base_dir=tmp_path)

    assert [
        line.removeprefix(f"{tmp_path}/").split(":")[0] for line in str(refusal.value).split("\n")
    ] == [
        "VLLM_BASE_URL",
        "config.yaml",
        "AURORA_MASTER_KEY",
        "AURORA_ADMIN_PASSWORD",
    ]
    assert "hunter2" not in str(refusal.value)
    assert empty()


def test_ambiguity_writes_nothing(tmp_path):
    (tmp_path / "config.yaml").write_text("providers: {a: {type: vllm}, b: {type: vllm}}")

    with pytest.raises(SeedError, match=r"VLLM_BASE_URL: which provider .* a or b"):
        seed(ENVIRON, config_path="", base_dir=tmp_path)

    assert empty()


@pytest.mark.django_db(transaction=True)
def test_what_only_the_model_refuses_writes_nothing(tmp_path):
    environ = {**ENVIRON, "VLLM_TEST_BASE_URL": "http://h/" + "x" * 500}

    with pytest.raises(SeedError, match="provider vllm-test, from the environment: base_url: "):
        seed(environ, config_path="", base_dir=tmp_path)

    assert empty()


BOTH = "providers: {vllm: {type: vllm, base_url: 'http://yaml:1', idle_seconds: 9, weight: 2}}"
SHARED = {"VLLM_BASE_URL": "http://env:1", "VLLM_API_KEY": "upstream-secret"}


@pytest.fixture
def start(tmp_path):
    """Seeds with these variables and this file, as a process does at its start."""
    file = tmp_path / "config.yaml"

    def seed_with(environ: dict[str, str], yaml: str = "", *, prune: bool = False) -> list[str]:
        file.write_text(yaml)
        seeds = seeding.read(environ, config_path="", base_dir=tmp_path)
        return [line for line in seeding.write(seeds, prune=prune) if line.startswith("provider")]

    return seed_with


def vllm() -> tuple[str, str, float, float, str]:
    row = Provider.objects.get(name="vllm")
    return row.base_url, row.api_key, row.idle_seconds, row.weight, row.source


WHOLE = ("http://env:1/v1", "upstream-secret", 9, 2, "env")


def test_a_start_without_variables_and_file_takes_nothing(start):
    start(SHARED, BOTH)

    [said] = start({})

    assert said.startswith(
        "provider vllm: no longer named by the environment and the YAML file; it stays"
    )
    assert vllm() == WHOLE
    assert start(SHARED, BOTH) == []


def test_a_start_without_the_variables_leaves_what_they_said_and_follows_the_file(start):
    start(SHARED, BOTH)

    changed, kept = start({}, BOTH.replace("weight: 2", "weight: 3"))

    assert changed == "provider vllm: weight changed with the environment"
    assert kept == (
        "provider vllm: no longer named by the environment, whose api_key, base_url it keeps;"
        " `manage.py seed --prune` ends that"
    )
    assert vllm() == ("http://env:1/v1", "upstream-secret", 9, 3, "env")
    row = Provider.objects.get()
    assert (list(row.unnamed), row.is_named) == (["env"], True)


def test_a_start_without_the_file_leaves_what_it_said_and_follows_the_variables(start):
    start(SHARED, BOTH)

    changed, _ = start({**SHARED, "VLLM_BASE_URL": "http://env:2"})

    assert changed == "provider vllm: base_url changed with the environment"
    assert vllm() == ("http://env:2/v1", "upstream-secret", 9, 2, "env")
    assert list(Provider.objects.get().unnamed) == ["yaml"]


def test_a_source_that_names_the_provider_says_all_of_it(start):
    start({**SHARED, "VLLM_MODELS": "a,b"}, BOTH)

    assert start({"VLLM_BASE_URL": "http://env:1"}, BOTH.replace(", weight: 2", "")) == [
        "provider vllm: api_key, model_ids, models_mode, weight changed with the environment"
    ]
    assert vllm() == ("http://env:1/v1", "", 9, 1, "env")


def test_a_list_of_models_is_kept_with_its_mode(start):
    start({"VLLM_MODELS": "a,b"}, BOTH)

    start({}, BOTH)

    row = Provider.objects.get()
    assert (row.model_ids, row.models_mode) == (["a", "b"], "fallback")


def test_pruning_ends_what_silent_sources_said(start):
    start(SHARED, BOTH)

    assert start({}, BOTH, prune=True) == [
        "provider vllm: base_url, api_key, source changed with the YAML file"
    ]
    assert vllm() == ("http://yaml:1/v1", "", 9, 2, "yaml")
    assert Provider.objects.get().unnamed == {}

    assert start({}, prune=True) == [
        "provider vllm: removed, since neither environment nor YAML file names it"
    ]


def test_of_a_row_of_an_earlier_release_its_source_said_all(start):
    start(SHARED, BOTH)
    Provider.objects.update(field_sources={})

    start({}, BOTH.replace("weight: 2", "weight: 3"))

    assert vllm() == WHOLE


def test_a_kept_key_that_no_longer_opens_is_not_kept(start):
    start(SHARED, BOTH)
    Provider.objects.update(sealed_api_key="AAAA" * 16)

    start({}, BOTH)

    assert vllm() == ("http://env:1/v1", "", 9, 2, "env")


@pytest.fixture
def started_with(settings, tmp_path):
    """Sets the variables that the process was started with."""
    settings.OPTIONS = {**settings.OPTIONS, "AURORA_CONFIG": ""}
    settings.BASE_DIR = tmp_path

    def start(**variables: str) -> None:
        settings.ENVIRONMENT = environment.load(variables, tmp_path)

    return start


def test_the_command_prints_what_it_did(started_with, capsys):
    started_with(**ENVIRON)

    call_command("seed")
    assert "provider vllm: added from the environment\n" in capsys.readouterr().out

    call_command("seed")
    assert capsys.readouterr().out == "Nothing to change.\n"


def test_the_command_fails_with_the_problem(started_with):
    started_with(VLLM_BASE_URL="foo")

    with pytest.raises(CommandError, match="VLLM_BASE_URL: a URL such as"):
        call_command("seed")


def test_the_command_prunes_and_says_what(started_with, capsys):
    started_with(**ENVIRON)
    call_command("seed")
    started_with()
    call_command("seed")
    capsys.readouterr()
    assert Provider.objects.count() == 2
    assert ApiKey.objects.usable().count() == 1

    call_command("seed", prune=True)

    said = capsys.readouterr().out
    assert "provider vllm: removed, since neither" in said
    assert "provider vllm-test: removed, since neither" in said
    assert "retired, since AURORA_MASTER_KEY no longer holds it" in said
    assert not Provider.objects.exists()
    assert not ApiKey.objects.usable().exists()
