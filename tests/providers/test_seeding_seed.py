"""The whole of seeding: everything or nothing, and the same again."""

from __future__ import annotations

import pytest
from auditlog.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from aurora_site import environment
from providers import revision
from providers.models import ApiKey, Provider
from providers.seeding import SeedError, seed

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


def empty() -> bool:
    return not any(m.objects.exists() for m in (Provider, ApiKey, get_user_model(), LogEntry))


def test_nothing_set_at_all_is_fine(tmp_path):
    superuser, access = reversed(seed({}, config_path="", base_dir=tmp_path))

    assert access.startswith("No key means no access")
    assert superuser.startswith("There is no superuser")
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


def test_a_row_follows_from_file_to_environment_and_away(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("providers: {only: {type: vllm}}")
    seed({}, config_path="", base_dir=tmp_path)

    done = seed({"VLLM_BASE_URL": "http://h:1"}, config_path="", base_dir=tmp_path)
    assert done[0] == "provider only: base_url, source changed with the environment"

    file.unlink()
    done = seed({}, config_path="", base_dir=tmp_path)
    assert done[0].startswith("provider only: removed")


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
