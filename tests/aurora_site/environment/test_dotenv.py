"""The file `.env`: every form that people write, and no word of what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_site.environment import dotenv
from aurora_site.environment.cleaning import EDGES
from aurora_site.environment.files import MOST_BYTES, BadFile


@pytest.fixture
def read(tmp_path: Path):
    """Reads a file that holds this."""

    def values(content: str | bytes) -> dict[str, str]:
        file = tmp_path / ".env"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return dotenv.read(file).values

    return values


def test_no_file_is_no_variable(tmp_path):
    assert dotenv.read(tmp_path / ".env").values == {}


@pytest.mark.parametrize(
    "line",
    [
        "KEY=value",
        "KEY=value   ",
        "  KEY=value",
        "\tKEY=value",
        "KEY = value",
        "KEY= value",
        "KEY =value",
        "KEY: value",
        "KEY : value",
        "KEY: 'value'",
        "export KEY=value",
        "export\tKEY = 'value'",
        'KEY="value"',
        "KEY='value'",
        "KEY=value # a comment",
        "KEY=value\t# a 'comment'",
        "KEY=value          # `openssl rand -hex 32` makes one",
        "KEY='value' # a comment",
        'KEY="value"   # a "comment"',
        "\ufeffKEY=value",
        "KEY=value\r",
        "KEY=value\r\n",
        "\r\n# a comment\r\n\r\nKEY=value\r\nOTHER=",
        "OTHER=x\rKEY=value\r",
    ],
)
def test_a_variable_is_read_in_every_form(read, line):
    assert read(line)["KEY"] == "value"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("a#b", "a#b"),
        ("#fff", "#fff"),
        ("p#w # comment", "p#w"),
        ("a=b==", "a=b=="),
        ("a: b", "a: b"),
        ("it's", "it's"),
        ('a "b" c', 'a "b" c'),
        ("two words", "two words"),
        ("'a # b'", "a # b"),
        ('" a "', " a "),
        ('"a\\"b\\\\c\\$d"', 'a"b\\c$d'),
        ('"a\\nb"', "a\\nb"),
        ("'a\\'", "a\\"),
        ("$HOME/${X}", "$HOME/${X}"),
        ('"a","b" # two', '"a","b"'),
        ("'\"a\"'", '"a"'),
        ("", ""),
        (" # a comment", ""),
        ("''", ""),
    ],
)
def test_what_belongs_to_the_value_is_kept(read, written, value):
    assert read(f"KEY={written}\n") == {"KEY": value}


def test_the_last_of_two_values_holds_and_the_name_is_told(tmp_path):
    (tmp_path / ".env").write_text("A=1\nB=2\nA=3\nA=4\n")

    found = dotenv.read(tmp_path / ".env")

    assert found.values == {"A": "4", "B": "2"}
    assert found.repeated == ("A",)
    assert "4" not in repr(found)


@pytest.mark.parametrize(
    "line",
    [
        "hunter2",
        "hunter2 x y",
        "export hunter2",
        "sk-hunter2:abc",
        "KEY:hunter2",
        "http://hunter2",
        "=hunter2",
        "1KEY=hunter2",
        'KEY="hunter2',
        "KEY='hunter2",
        "KEY='hunter2' x",
        'KEY="hunter2"x',
        "KEY='it's hunter2'",
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_its_number_alone(read, line):
    with pytest.raises(BadFile, match=r"\.env: line 3: ") as refusal:
        read(f"A=1\n# comment\n{line}\nB=2\n")

    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("KEY=hunter2\n".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        ("KEY=hunter2\n".encode("utf-16-be"), "not UTF-8 text, in line 1"),
        ("A=1\nKEY=hunter2é\n".encode("latin-1"), "not UTF-8 text, in line 2"),
        (b"A=1\n\nKEY=hunter2\0\n", "not UTF-8 text, in line 3"),
        (b"#" * (MOST_BYTES + 1), "larger than"),
    ],
)
def test_a_file_in_another_encoding_is_told_without_its_text(read, content, said):
    with pytest.raises(BadFile) as refusal:
        read(content)

    assert said in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_folder_or_a_link_to_nothing_is_no_file(tmp_path):
    folder, link, circle = (tmp_path / name for name in ("folder", "link", "circle"))
    folder.mkdir()
    link.symlink_to("nowhere")
    circle.symlink_to("circle")

    for path in (folder, link, circle):
        with pytest.raises(BadFile, match=str(path)):
            dotenv.read(path)


@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])))
def test_any_line_is_a_variable_or_told_with_its_number(tmp_path_factory, line):
    file = tmp_path_factory.getbasetemp() / "any.env"
    file.write_text(line, encoding="utf-8", newline="")
    try:
        found = len(dotenv.read(file).values)
    except BadFile as refusal:
        found = str(refusal).count(f"{file}: line 1: ")
    assert found <= 1
    assert found == 1 or not line.strip(EDGES) or line.strip(EDGES).startswith("#")
