"""Settings whose values are mounted as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from aurora_site import health, options
from aurora_site.environment import BadFile, load
from aurora_site.options import NAMES, BadOption


@pytest.mark.parametrize(
    "name",
    [
        "AURORA_MASTER_KEY",
        "AURORA_SECRET_KEYS",
        "AURORA_ADMIN_PASSWORD",
        "DATABASE_URL",
        "AURORA_PORT",
        "VLLM_API_KEY",
        "VLLM_EU_WEST_1_API_KEY",
        "VLLM_BASE_URL",
    ],
)
@pytest.mark.parametrize(
    "content", [b"a-secret\n", b'"a-secret"\r\n', b"\xef\xbb\xbfa-secret", b"  'a-secret' "]
)
def test_any_setting_may_stand_in_a_file_which_is_cleaned(tmp_path, name, content):
    (tmp_path / "secret").write_bytes(content)

    read = load({f"{name}_FILE": f" '{tmp_path / 'secret'}'\n"}, tmp_path, NAMES)

    assert read.values[name] == "a-secret"
    assert read.notices == ()
    assert "a-secret" not in repr(read)


def test_a_path_is_relative_to_the_program_or_to_the_home_folder(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").write_text("of-home")
    (tmp_path / "key").write_text("of-here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / ".env").write_text("VLLM_API_KEY_FILE=key\nVLLM_EU_API_KEY_FILE=~/key\n")

    values = load({}, tmp_path, NAMES).values

    assert (values["VLLM_API_KEY"], values["VLLM_EU_API_KEY"]) == ("of-here", "of-home")


def test_a_value_and_a_file_are_one_too_many(tmp_path):
    (tmp_path / "key").write_text("hunter2")
    both = {"AURORA_MASTER_KEY_FILE": "key", "AURORA_MASTER_KEY": "hunter2"}

    with pytest.raises(
        BadFile, match=r"AURORA_MASTER_KEY, AURORA_MASTER_KEY_FILE: both"
    ) as refusal:
        load(both, tmp_path, NAMES)

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file"),
        (b"\n", "the file is empty"),
        (b"hunter2\xff", "not UTF-8 text, in line 1"),
        ("hunter2".encode("utf-16"), "UTF-16 text"),
    ],
)
def test_a_file_that_is_no_good_is_named_with_its_variable_and_not_its_text(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(BadFile) as refusal:
        load({"VLLM_EU_API_KEY_FILE": str(file)}, tmp_path, NAMES)

    assert str(refusal.value).startswith(f"VLLM_EU_API_KEY_FILE: {file}: {said}")
    assert "hunter2" not in str(refusal.value)


def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path):
    (tmp_path / "key").write_text("hunter2")
    values = load({"AURORA_PORT_FILE": "key"}, tmp_path, NAMES).values

    with pytest.raises(BadOption, match="AURORA_PORT: a whole number") as refusal:
        options.read(values)

    assert "hunter2" not in str(refusal.value)


def test_the_health_check_reads_no_file_but_its_own(tmp_path):
    mounted = {"VLLM_API_KEY_FILE": "/nowhere", "AURORA_MASTER_KEY_FILE": "/nowhere"}

    assert health.main({**mounted, "AURORA_PORT_FILE": "/none"}, tmp_path) == (
        "AURORA_PORT_FILE: /none: there is no such file"
    )
    assert "Connection refused" in health.main({**mounted, "AURORA_PORT": "1"}, tmp_path)


def test_other_variables_that_end_so_are_let_be(tmp_path):
    others = {"SSL_CERT_FILE": "/nowhere", "AURORA_FILE": "/nowhere", "VLLM_FILE": "/nowhere"}

    assert load(others, tmp_path, NAMES).values == others
