"""DATABASE_URL: what is wrong is said with the mend, and never with the password."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aurora_site import database
from aurora_site.database_url import checked

FOLDER = Path("/srv/aurora")


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("postgres://u:hunter2#w@h/d", "a # in a user name, password or name is written %23"),
        ("postgres://u:#hunter2@h/d", "%23"),
        ("postgres://u:hunter2?w@h/d", "%3F"),
        ("postgres://u:hunter2/w@h/d", "%2F"),
        ("postgres://u:hunter2@#w@h/d", "%23"),
        ("postgres://u:hunter2[w@h/d", "%5B"),
        ("postgres://u:hunter2]w@h/d", "%5D"),
        ("postgres://u:hunter2/1#2@h", "%2F"),
        ("postgres://u:hunter2@h/d#x", "%23"),
        ("postgres://u:hunter2@h", "it names no database"),
        ("postgres://u:hunter2@h/", "it names no database"),
        ("postgres://u:hunter2@h?sslmode=require", "it names no database"),
        ("postgres://u:hunter2@h:port/d", "host or port cannot be read"),
        ("postgres://u:hunter2@h:99999/d", "host or port cannot be read"),
        ("postgresql+psycopg://u:hunter2@h/d", "postgres://user:password@host:5432/name"),
        ("mysql://u:hunter2@h/d", "postgres://user:password@host:5432/name"),
        ("postgres:u:hunter2@h/d", "postgres://user:password@host:5432/name"),
        ("hunter2", "postgres://user:password@host:5432/name"),
        ("sqlite://hunter2.db", "sqlite:////absolute/path"),
        ("sqlite:///", "it names no file"),
        ("sqlite://:memory:", "it names no file"),
        ("sqlite:///:memory:", "it names no file"),
        ("sqlite:////data/a#b", "%23"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_mend(url, mend):
    with pytest.raises(ValueError, match=re.escape(mend)) as refusal:
        checked(url)

    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "name", "host", "password"),
    [
        ("postgres://u:p@h/d", "d", "h", "p"),
        ("postgresql://u:p%23w@h:5432/d", "d", "h", "p#w"),
        ("POSTGRES://u:p@h/d", "d", "h", "p"),
        ("postgres://u:p@w@h/d", "d", "h", "p@w"),
        ("postgres://u:p:q@h/d", "d", "h", "p:q"),
        ("postgres://u:p w@[::1]:5432/d", "d", "::1", "p w"),
        ("postgres://u:p@h/d?application_name=a@b", "d", "h", "p"),
        ("postgres:///d", "d", "", ""),
        ("postgres:///?service=aurora", "", "", ""),
    ],
)
def test_a_url_that_can_be_used_is_taken(url, name, host, password):
    found = database.of_url(checked(url), FOLDER)

    assert (found["NAME"], found["HOST"], found["PASSWORD"]) == (name, host, password)


def test_a_file_is_found_where_other_paths_are(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a#b").mkdir()

    for url, file in (
        (f"sqlite:///{tmp_path}/a.db", tmp_path / "a.db"),
        ("sqlite:///a.db", tmp_path / "a.db"),
        ("sqlite:///~/a.db", tmp_path / "a.db"),
        ("sqlite:///a%23b/a.db", tmp_path / "a#b" / "a.db"),
    ):
        assert database.of_url(checked(url), tmp_path)["NAME"] == str(file)


@pytest.mark.parametrize(
    ("path", "said"), [("nowhere/a.db", "there is no folder"), ("here", "is a folder")]
)
def test_a_file_that_could_not_be_made_is_told(tmp_path, path, said):
    (tmp_path / "here").mkdir()

    with pytest.raises(database.BadDatabase, match=f"DATABASE_URL: .*{said}"):
        database.of_url(f"sqlite:///{path}", tmp_path)


def test_a_data_folder_may_have_any_name():
    assert database.of_file(Path("/data #1?/a%20b/db"))["NAME"] == "/data #1?/a%20b/db"
