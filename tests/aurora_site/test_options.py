"""Each setting: what it is without a word, what it takes, and what it says of nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_site import options
from aurora_site.options import OPTIONS, BadOption
from aurora_site.public import PublicUrl

HOME = str(Path.home())
ONE, TWO = "1" * 32, "2" * 64
ANY_TEXT: list[tuple[str, Any]] = [("$HOME", "$HOME"), ("a=b, c", "a=b, c")]

# name: default, [(text, value)], [nonsense], what is right
TABLE: dict[str, tuple[Any, list[tuple[str, Any]], list[str], str]] = {
    "AURORA_HOST": (
        "0.0.0.0",
        [
            ("::1", "::1"),
            ("[::]", "::"),
            ("[fe80::1%eth0]", "fe80::1%eth0"),
            (" 127.0.0.1 ", "127.0.0.1"),
            ("localhost", "localhost"),
            ("gpu-1.example.com", "gpu-1.example.com"),
        ],
        ["0.0.0.0:8080", "[::]:8080", "*", "http://0.0.0.0", "8080", "256.0.0.1", "a b", "[::", ":::"],
        "an address or a host name",
    ),
    "AURORA_PORT": (
        8080,
        [("0", 0), ("65535", 65535), ("007", 7), (" 80 ", 80)],
        ["-1", "65536", "http", "80.0", "8_0", "٣", "0x50", "8 0"],
        "a whole number from 0 to 65535",
    ),
    "AURORA_DATA_DIR": (
        "data",
        [("/var/lib/aurora", "/var/lib/aurora"), ("~/x", f"{HOME}/x"), ("a~b", "a~b")],
        ["$HOME/x", "${HOME}/x", "~nobody-of-that-name/x", "a\nb"],
        "",
    ),
    "DATABASE_URL": ("", [("postgres://u:p@h/n", "postgres://u:p@h/n")], ["postgres://u:p@h"], ""),
    "AURORA_CONFIG": (
        "",
        [("/etc/aurora.yaml", "/etc/aurora.yaml"), ("~/aurora.yaml", f"{HOME}/aurora.yaml")],
        ["$CONFIG"],
        "",
    ),
    "AURORA_MASTER_KEY": ("", ANY_TEXT, [], ""),
    "AURORA_ADMIN_PASSWORD": (
        "",
        [*ANY_TEXT, (" pässwort ", " pässwort ")],
        ["two\nlines"],
        "it holds a line end",
    ),
    "AURORA_SECRET_KEYS": (
        (),
        [
            (ONE, (ONE,)),
            (f"{TWO},{ONE}", (TWO, ONE)),
            (f" {TWO} , {ONE} ,", (TWO, ONE)),
            (f'"{TWO}", "{ONE}"', (TWO, ONE)),
            (f"{TWO}\n{ONE}", (TWO, ONE)),
        ],
        ["short", f"{ONE},short", "x" * 31],
        "at least 32 characters",
    ),
    "AURORA_PUBLIC_URL": (
        (),
        [
            ("https://Aurora.example.com/", (PublicUrl("https", "aurora.example.com", None),)),
            ("http://localhost:8080", (PublicUrl("http", "localhost", 8080),)),
            (
                "https://a.example:443, http://[2001:DB8::1]:81,https://bücher.example",
                (
                    PublicUrl("https", "a.example", None),
                    PublicUrl("http", "2001:db8::1", 81),
                    PublicUrl("https", "xn--bcher-kva.example", None),
                ),
            ),
        ],
        ["aurora.example.com", "ftp://h", "https://", "https://h/path", "https://[h", "//h", "https://a..b"],
        "",
    ),
    "AURORA_HSTS_SECONDS": (0, [("31536000", 31_536_000)], ["-1", "a year"], "from 0 to 63072000"),
    "AURORA_CORS_ORIGINS": (
        (),
        [
            ("*", ("*",)),
            ("https://A.example/, http://localhost:3000", ("https://a.example", "http://localhost:3000")),
        ],
        ["a.example", "*, https://a.example", "https://a.example/page"],
        "",
    ),
    "AURORA_MAX_BODY_BYTES": (
        33_554_432,
        [("1", 1), (str(2**40), 2**40)],
        ["0", str(2**40 + 1), "32MiB", "1e6"],
        "a whole number from 1",
    ),
    "AURORA_MEMORY_BYTES": (0, [("0", 0), ("1073741824", 2**30)], ["-1", "1G", "half"], "from 0 to"),
    "AURORA_UPLOAD_STALL_SECONDS": (30, [("1", 1), ("3600", 3600)], ["0", "3601", "1.5"], "from 1 to 3600"),
    "AURORA_UPLOAD_BYTES_PER_SECOND": (1024, [("1", 1), ("1073741824", 2**30)], ["0", "1073741825", "1.5"], "from 1 to 1073741824"),
    "AURORA_CLIENT_STALL_SECONDS": (60, [("1", 1), ("3600", 3600)], ["0", "3601", "-5"], "from 1 to 3600"),
    "AURORA_STOP_DELAY_SECONDS": (5, [("0", 0), ("600", 600)], ["-1", "601", "soon"], "from 0 to 600"),
    "AURORA_DRAIN_SECONDS": (30, [("0", 0), ("86400", 86_400)], ["-1", "86401", "soon"], "from 0 to 86400"),
    "AURORA_STREAM_HEAD_SECONDS": (15, [("1", 1), ("3600", 3600)], ["0", "3601", "soon"], "from 1 to 3600"),
    "AURORA_CLIENT_CONNECTIONS": (10_000, [("1", 1)], ["0", "1000001", "many"], "from 1 to 1000000"),
    "AURORA_UPSTREAM_CONNECTIONS": (10_000, [("1", 1)], ["0", "100001", "many"], "from 1 to 100000"),
    "AURORA_METADATA_ADDRESSES": ("refused", [("Allowed", "allowed")], ["yes", "1"], "one of refused, allowed"),
    "AURORA_DISCOVERY_SECONDS": (60, [("1", 1), ("86400", 86400)], ["0", "86401"], "from 1 to 86400"),
    "AURORA_PROBE_SECONDS": (3, [("1", 1), ("10", 10)], ["0", "11", "0.5"], "from 1 to 10"),
    "AURORA_POOL_POLICY": (
        "affinity",
        [("least_loaded", "least_loaded"), ("Round_Robin", "round_robin"), ("random", "random")],
        ["sticky", "least-loaded", "1"],
        "one of affinity, least_loaded, round_robin, random",
    ),
    "AURORA_QUEUE_CALLS": (100, [("0", 0), ("100000", 100_000)], ["-1", "100001"], "from 0 to 100000"),
    "AURORA_QUEUE_SECONDS": (30, [("0", 0), ("3600", 3600)], ["-1", "3601", "0.5"], "from 0 to 3600"),
    "AURORA_RETRY_PERCENT": (20, [("0", 0), ("100", 100)], ["-1", "101", "20%"], "from 0 to 100"),
    "AURORA_DROPPED_HEADERS": (
        (),
        [("X-Team, X-Internal-*", ("x-team", "x-internal-*"))],
        ["*", "X Team", "X-*-Team", "X-Team:"],
        "no name of a header",
    ),
    "AURORA_PASSED_HEADERS": (
        (),
        [("X-User-Id,x-group", ("x-user-id", "x-group"))],
        ["X-User-*", "x user", "a:b"],
        "no name of a header",
    ),
    "AURORA_RESPONSES_RETENTION_DAYS": (30, [("0", 0), ("36500", 36_500)], ["-1", "36501", "0.5"], "from 0 to 36500"),
    "AURORA_STORED_BYTES_PER_KEY": (
        10_737_418_240,
        [("0", 0), ("1048576", 2**20)],
        ["-1", "10G"],
        "from 0 to",
    ),
    "AURORA_SPOOL_BYTES": (
        268_435_456,
        [("0", 0), ("1099511627776", 2**40)],
        ["-1", "1099511627777", "1G"],
        "a whole number from 0 to 1099511627776",
    ),
    "AURORA_BACKGROUND_RESPONSES": (100, [("1", 1), ("10000", 10_000)], ["0", "10001", "many"], "from 1 to 10000"),
    "AURORA_LOG_LEVEL": (
        "info",
        [("DEBUG", "debug"), ("Warning", "warning"), ("warn", "warning"), (" error ", "error")],
        ["loud", "critical", "20"],
        "one of debug, info, warning, error",
    ),
    "AURORA_LOG_FORMAT": (
        "auto",
        [("json", "json"), ("TEXT", "text")],
        ["yaml", "true"],
        "one of auto, json, text",
    ),
}  # fmt: skip
GOOD = [(name, text, value) for name, row in TABLE.items() for text, value in row[1]]
BAD = [(name, text, row[3]) for name, row in TABLE.items() for text in row[2]]


def test_every_option_is_in_the_table_above():
    assert [option.name for option in OPTIONS] == list(TABLE)


def test_without_any_variable_each_option_has_its_default():
    assert options.read({}) == {name: row[0] for name, row in TABLE.items()}


@pytest.mark.parametrize("name", TABLE)
def test_an_empty_variable_is_as_good_as_none(name):
    assert options.read({name: ""}) == options.read({})


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_a_good_value_is_taken_and_changes_nothing_else(name, text, value):
    assert options.read({name: text}) == {**options.read({}), name: value}


@pytest.mark.parametrize(("name", "text", "right"), BAD)
def test_nonsense_is_refused_with_the_variables_name_and_what_is_right(name, text, right):
    with pytest.raises(BadOption) as caught:
        options.read({name: text})
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert right in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("AURORA_SECRET_KEYS", "hunter2"),
        ("AURORA_SECRET_KEYS", f"{ONE},hunter2"),
        ("AURORA_ADMIN_PASSWORD", "hunter2\n"),
        ("DATABASE_URL", "ftp://hunter2"),
        ("AURORA_PUBLIC_URL", "https://user:hunter2@aurora.example.com"),
    ],
)
def test_a_refused_secret_is_not_repeated(name, text):
    with pytest.raises(BadOption) as caught:
        options.read({name: text})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("AURORA_PORT", "80\u200b80", r"'80\u200b80'"),
        ("AURORA_LOG_LEVEL", "loud", "'loud'"),
        ("AURORA_CONFIG", "a\nb", r"'a\nb'"),
        ("AURORA_PORT", "8" * 100, f"'{'8' * 60}'…"),
    ],
)
def test_a_refused_value_that_is_no_secret_is_shown_as_it_is(name, text, shown):
    with pytest.raises(BadOption) as caught:
        options.read({name: text})
    assert str(caught.value).endswith(f"; it is {shown}")


@given(st.sampled_from(sorted(TABLE)), st.text(max_size=20))
def test_any_text_is_taken_or_refused(name, text):
    try:
        read = options.read({name: text})
    except BadOption:
        return
    assert set(read) == set(TABLE)


def test_what_is_not_auroras_is_not_looked_at():
    assert options.read({"AURORA_POTR": "x", "PATH": "/bin", "VLLM_PORT": "x"}) == options.read({})


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_explained_in_a_sentence(option):
    assert option.help.endswith(".")
    if isinstance(TABLE[option.name][0], int) and option.name != "AURORA_PORT":
        assert any(
            unit in option.name
            for unit in (
                "_BYTES",
                "_SECONDS",
                "_DAYS",
                "_CONNECTIONS",
                "_RESPONSES",
                "_CALLS",
                "_PERCENT",
            )
        )
