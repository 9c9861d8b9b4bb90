"""Lines that are pasted become servers, or are told what is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.pasted import MASK, Line, masked, named, read

KEY = "sk-secret-0123456789"


def planned(text: str, **taken: str) -> list[Line]:
    return named(read(text), taken)


def names(text: str, **taken: str) -> list[str]:
    return [line.name for line in planned(text, **taken)]


def mistakes(text: str, **taken: str) -> list[str]:
    return [line.mistake for line in planned(text, **taken)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("http://gpu-1:8000", Line(1, "gpu-1", "http://gpu-1:8000/v1")),
        ("http://gpu-1:8000/v1/", Line(1, "gpu-1", "http://gpu-1:8000/v1")),
        (f"http://gpu-1:8000 {KEY}", Line(1, "gpu-1", "http://gpu-1:8000/v1", KEY)),
        ("a http://gpu-1:8000", Line(1, "a", "http://gpu-1:8000/v1")),
        (f"a http://gpu-1:8000 {KEY}", Line(1, "a", "http://gpu-1:8000/v1", KEY)),
        (f'\ufeff"a"\t"http://gpu-1:8000", \'{KEY}\'', Line(1, "a", "http://gpu-1:8000/v1", KEY)),
        ("\n  # old ones\n\n https://h/eu \r\n", Line(4, "h", "https://h/eu/v1")),
    ],
)
def test_a_line_has_a_url_and_perhaps_a_name_and_a_key(text: str, line: Line) -> None:
    assert planned(text) == [line]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://gpu-1.example.com", ["gpu-1"]),
        ("http://10.0.0.7:8000", ["10.0.0.7"]),
        ("http://[fe80::1]:8000", ["fe80-1"]),
        ("http://GPU_1:8000", ["gpu_1"]),
        ("http://gpu-1:8000\nhttp://gpu-1:8001", ["gpu-1-8000", "gpu-1-8001"]),
        ("http://gpu-1.a\nhttp://gpu-1.b", ["gpu-1", "gpu-1.b"]),
        ("http://h/eu\nhttp://h/us", ["h", "h-us"]),
        ("http://gpu-1\nother http://gpu-2\ngpu-1 http://gpu-3", ["gpu-1-2", "other", "gpu-1"]),
        (f"http://{'x' * 63}.{'y' * 60}", ["x" * 63]),
    ],
)
def test_a_server_without_a_name_gets_one_from_its_host(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_names_that_are_taken_are_passed_over() -> None:
    assert names("http://gpu-1.lab", **{"gpu-1": "http://other/v1"}) == ["gpu-1.lab"]
    assert names("http://gpu-1", **{"gpu-1": "http://other/v1"}) == ["gpu-1-2"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("gpu-1:8000", "There is no URL such as"),
        ("a b http://gpu-1", "at most a name, a URL and a key"),
        ("a http://gpu-1 k more", "at most a name, a URL and a key"),
        ("ftp://gpu-1", "A URL such as"),
        ("http://user:hunter2@gpu-1", "must not hold a user name or password"),
        ("http://gpu-1 schlüssel", "visible ASCII characters only"),
        (f"http://gpu-1 {MASK}1", "kept no longer: type it again"),
        ("there http://gpu-1", "The name there is taken."),
        ("http://there:8000/v1", "This is the base URL of there."),
    ],
)
def test_a_mistake_is_told_by_its_line_and_without_secrets(text: str, mistake: str) -> None:
    taken = {"there": "http://there:8000/v1"}

    good, bad = planned(f"http://fine\n{text}", **taken)

    assert (good.mistake, bad.number) == ("", 2)
    assert mistake in bad.mistake
    assert "hunter2" not in bad.mistake
    assert "schlüssel" not in bad.mistake


def test_a_server_or_a_name_that_stands_in_two_lines_is_a_mistake() -> None:
    assert mistakes("http://a\nb http://a/v1")[1] == "This is the base URL of line 1."
    assert mistakes("a http://a\na http://b")[1] == "The name a is taken."


@pytest.mark.parametrize(
    "text",
    [
        f"a http://gpu-1 {KEY}",
        f"http://gpu-1 {KEY}",
        f"gpu-1:8000 {KEY}",
        f"a http://gpu-1 x {KEY}",
        f"# a http://gpu-1 {KEY}",
        f"a http://user:{KEY}@gpu-1",
        f"a http://gpu-1 '{KEY}',",
    ],
)
def test_no_line_is_shown_with_its_key(text: str) -> None:
    assert KEY not in masked(text)[0]
    assert KEY not in repr(read(text))


def test_the_masked_lines_mean_the_same_servers() -> None:
    text = f"a http://a {KEY}\n\n# old\nhttp://b ''other''\n http://c "

    shown, keys = masked(text)
    again, keys_again = masked(shown, keys)

    assert read(shown, keys) == read(text)
    assert (again, keys_again) == (shown, keys)
    assert keys == [KEY, "'other'"]


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    shown, keys = masked(text)
    lines = named(read(text), {})

    assert [line.number for line in lines] == [line.number for line in read(shown, keys)]
    good = [line.name for line in lines if not line.mistake]
    assert len(good) == len(set(good))
