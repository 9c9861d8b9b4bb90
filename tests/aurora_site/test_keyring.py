"""The secrets from which every other key comes: given, or made once in the data folder."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from aurora_site import keyring
from aurora_site.data_folder import prepare
from aurora_site.keyring import FILE_NAME, BadKeyring, Keyring, _create, given, load
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
ONE, TWO = "1" * 32, "2" * 32


def made(folder: Path) -> Keyring:
    return load((), prepare(folder))


def test_a_given_keyring_is_used_and_no_file_made(tmp_path):
    assert load((ONE, TWO), prepare(tmp_path)).secrets == (ONE, TWO)
    assert given((ONE,)).secrets == (ONE,)
    assert list(tmp_path.iterdir()) == []


def test_without_one_a_file_is_made_that_only_its_owner_may_read(tmp_path):
    keyring = made(tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name == FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == keyring.secrets[0] + "\n"
    assert len(bytes.fromhex(keyring.secrets[0])) == 32


def test_the_next_start_finds_the_same(tmp_path):
    assert made(tmp_path) == made(tmp_path)


def test_two_folders_have_two_keyrings(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    assert made(folders[0]) != made(folders[1])


def test_a_file_may_hold_several_newest_first(tmp_path):
    (tmp_path / FILE_NAME).write_text(f"{TWO}\n{ONE}\n")
    assert made(tmp_path).secrets == (TWO, ONE)


def test_with_an_external_database_a_keyring_must_be_given(tmp_path):
    (tmp_path / FILE_NAME).write_text(ONE)
    with pytest.raises(BadKeyring, match="AURORA_SECRET_KEYS: required with DATABASE_URL"):
        given(())


@pytest.mark.parametrize("content", ["", "\n", "  \n\t"])
def test_an_empty_file_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / FILE_NAME
    path.write_text(content)
    with pytest.raises(BadKeyring, match="is empty"):
        made(tmp_path)
    assert path.read_text() == content


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(BadKeyring, match="AURORA_DATA_DIR"):
        made(tmp_path)


def test_in_a_folder_that_its_group_may_write_the_group_may_read_the_keyring(tmp_path):
    tmp_path.chmod(0o2770)
    made(tmp_path)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o640


def test_a_file_system_without_links_gets_a_keyring_all_the_same(tmp_path, monkeypatch):
    def refuse(*names: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    assert made(tmp_path) == made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_keyring_that_another_process_is_about_to_write_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(keyring, "WRITTEN_SECONDS", PATIENCE_SECONDS)
    path = tmp_path / FILE_NAME
    path.touch()
    writer = threading.Timer(0.1, path.write_text, [ONE])
    writer.start()
    assert made(tmp_path).secrets == (ONE,)
    writer.join()


def test_a_folder_in_the_files_place_is_refused(tmp_path):
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(BadKeyring, match="AURORA_DATA_DIR"):
        made(tmp_path)


def test_a_draft_that_a_crash_left_behind_is_no_obstacle(tmp_path):
    """In a container every start has the same process id."""
    (tmp_path / f"{FILE_NAME}.{os.getpid()}").touch()
    assert made(tmp_path).secrets


def test_who_comes_second_leaves_the_keyring_of_the_first(tmp_path):
    first = made(tmp_path)
    _create(tmp_path / FILE_NAME, 0o600)
    assert made(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


RACER = """
import pathlib, sys, time
from aurora_site import keyring
from aurora_site.data_folder import prepare
from aurora_site.keyring import load
folders = sorted(pathlib.Path(sys.argv[1]).iterdir())
print("ready", flush=True)
began = float(sys.stdin.readline())
for number, folder in enumerate(folders):
    while time.time() < began + number * 0.02:
        pass
    print(load((), prepare(folder)).secrets[0], flush=True)
"""


def test_processes_that_start_at_once_share_one_keyring(tmp_path):
    folders = [tmp_path / f"{number:02}" for number in range(40)]
    for folder in folders:
        folder.mkdir()
    command = [sys.executable, "-c", RACER, str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers: list[Any] = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    began = f"{time.time() + 0.1}\n"
    found = [racer.communicate(began, timeout=PATIENCE_SECONDS)[0].split() for racer in racers]
    assert found[0] == found[1]
    assert found[0] == [(folder / FILE_NAME).read_text().strip() for folder in folders]
    assert all([path.name for path in folder.iterdir()] == [FILE_NAME] for folder in folders)


secret_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
purposes = st.text("abcz ", max_size=6)


@hypothesis.given(secret_texts, secret_texts, purposes, purposes)
def test_a_derived_key_differs_by_secret_and_by_purpose(one, other, purpose, another):
    (key,) = Keyring((one,)).derived(purpose)
    assert len(key) == 32
    # HMAC pads its key with NULs, so secrets that differ in trailing ones only are the same.
    same = one.rstrip("\0") == other.rstrip("\0")
    assert (Keyring((other,)).derived(purpose) == (key,)) is same
    assert (Keyring((one,)).derived(another) == (key,)) is (purpose == another)


def test_keys_are_derived_newest_first():
    assert Keyring((TWO, ONE)).derived("p") == (
        *Keyring((TWO,)).derived("p"),
        *Keyring((ONE,)).derived("p"),
    )


def test_the_derivation_stays_the_same_from_release_to_release():
    """Otherwise no sealed value would open, and no key be known, after an update."""
    assert Keyring(("0" * 32,)).derived_texts("seal") == [
        "16174a098b14f9d1277a16314b980df62e64a171b07600905bd7d5f422c8d442"
    ]


def test_a_keyring_does_not_show_its_secrets():
    assert ONE not in repr(Keyring((ONE,)))
