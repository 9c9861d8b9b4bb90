"""Base URLs as operators write them, and the one way they are kept."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from providers.addresses import DEFAULT_BASE_URL, BadAddress, normalised, parse

PASSWORD = "hunter2-of-the-operator"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("http://h", "http://h/v1"),
        ("http://h/", "http://h/v1"),
        ("http://h//", "http://h/v1"),
        ("http://h/v1", "http://h/v1"),
        ("http://h//v1", "http://h/v1"),
        ("http://h/a//v1//", "http://h/a/v1"),
        ("http://h/v1/", "http://h/v1"),
        ("http://h:8000", "http://h:8000/v1"),
        ("http://h:8000/v1", "http://h:8000/v1"),
        (" http://h:8000/v1 \n", "http://h:8000/v1"),
        ("https://h/prefix", "https://h/prefix/v1"),
        ("https://h/prefix/", "https://h/prefix/v1"),
        ("https://h/prefix/v1/", "https://h/prefix/v1"),
        ("https://h/a/b/c/v1", "https://h/a/b/c/v1"),
        ("https://h/v1/models", "https://h/v1/models/v1"),
        ("https://h/v10", "https://h/v10/v1"),
        ("https://h/xv1", "https://h/xv1/v1"),
        ("https://h/V1", "https://h/V1/v1"),
        ("HTTP://h:8000", "http://h:8000/v1"),
        ("http://127.0.0.1:18001/v1", "http://127.0.0.1:18001/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
        ("http://[fe80::1]/v1/", "http://[fe80::1]/v1"),
        ("http://gpu_1:8000", "http://gpu_1:8000/v1"),
        ("http://h/a%20b", "http://h/a%20b/v1"),
        (DEFAULT_BASE_URL, DEFAULT_BASE_URL),
    ],
)
def test_a_base_url_has_one_way_to_be_kept(written, kept):
    address = parse(written)
    assert normalised(written) == address.api_root == kept
    assert address.server_root == kept.removesuffix("/v1")


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "h", "h:8000", "localhost:8000/v1", "//h/v1", "/v1", "http://", "http:///v1",
        "http://:8000", "ftp://h", "file:///etc/passwd", "unix:///run/x", "javascript:alert(1)",
        "ws://h", "http//h", "http:/h", "http:h", "http://h:port", "http://h:65536", "http://h:-1",
        "http://h:0", "http://[::1", "http://[not-an-address]", "http://h/v1?x=1", "http://h/v1?",
        "http://h/v1#x", "http://h/v1#", "http://a b/v1", "http://h/a b", "http://h\\x",
        "http://h/v1\nHost: x", "http://h/\0", "http://h\t/v1",
    ],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(written):
    with pytest.raises(BadAddress):
        normalised(written)


@pytest.mark.parametrize(
    "written",
    [
        f"http://user:{PASSWORD}@h/v1",
        f"http://:{PASSWORD}@h",
        f"http://user:{PASSWORD}@h:port/v1",
        f"http://user:{PASSWORD}@h:99999",
        f"ftp://user:{PASSWORD}@h",
        f"http://user:{PASSWORD}@",
        f"http://user:{PASSWORD}@h?q",
        f"http://user:{PASSWORD}@h/a b",
        f"http://user:{PASSWORD}@[h/v1",
        f"http://user:{PASSWORD}@[h]/v1",
        f"http://h:{PASSWORD}/v1",
        f"user:{PASSWORD}@h",
        f"http://user:{PASSWORD}@h\uff0fx",
    ],
)
def test_a_refused_url_never_repeats_a_password(written):
    with pytest.raises(BadAddress) as caught:
        normalised(written)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("written", ["http://user@h", "http://@h", "http://user:@h", "http://:@h"])
def test_a_user_name_is_refused_even_without_a_password(written):
    with pytest.raises(BadAddress, match="user name or password"):
        normalised(written)


hosts = st.sampled_from(["h", "gpu-1.example.com", "127.0.0.1", "[::1]", "H"])
ports = st.sampled_from(["", ":1", ":8000", ":65535"])
paths = st.text("/v1ab.-%20", max_size=12).map(lambda text: f"/{text}")
urls = st.builds("{}://{}{}{}".format, st.sampled_from(["http", "https"]), hosts, ports, paths)


@given(urls)
@example("http://h/v1/v1")
@example("http://h/v1//v1/")
def test_normalising_again_changes_nothing(written):
    once = normalised(written)
    assert normalised(once) == once
    assert once.endswith("/v1")
    assert normalised(f"{once}/") == once


@given(st.text(max_size=30) | st.builds("http://{}".format, st.text(max_size=20)))
def test_any_text_is_a_base_url_or_refused(written):
    try:
        kept = normalised(written)
    except BadAddress:
        return
    parts = urlsplit(kept)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    assert not parts.query
    assert not parts.fragment
    assert parts.username is None
    assert normalised(kept) == kept
