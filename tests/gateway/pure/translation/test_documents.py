"""A file is told as its text where it is text, else by a line that says what cannot be seen."""

from __future__ import annotations

import base64

import pytest

from gateway.translation.documents import MOST_NAME_CHARACTERS, document, unseen

PDF = b"%PDF-1.4\n1 0 obj << >> endobj"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("kind", ["text/csv", "application/json", "application/octet-stream", None])
def test_a_file_that_is_text_is_told_as_its_text(kind):
    assert document(encoded("\ufeffa,ü".encode()), kind, "a.csv") == ("a,ü", True)


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (PDF, "application/pdf", "PDF document 'a.b'"),
        (PDF, None, "PDF document 'a.b'"),
        (b"text", "image/png", "image 'a.b'"),
        (b"\xff\xfe\x00", "text/plain", "file of the type text/plain 'a.b'"),
        (b"PK\0\x03", "application/octet-stream", "file 'a.b'"),
        (b"\xff", None, "file 'a.b'"),
    ],
)
def test_a_file_that_is_no_text_is_told_of_in_a_line(content, kind, said):
    line = f"[Attached, but not visible to you: {said}]"

    assert document(encoded(content), kind, "a.b") == (line, False)


def test_what_is_not_base64_is_told_of_in_a_line():
    assert document("{}", "text/plain") == (unseen("file of the type text/plain"), False)


def test_a_long_name_is_cut():
    line = unseen("file", "x" * 10_000)

    assert line.endswith("…']")
    assert len(line) < MOST_NAME_CHARACTERS + 60
