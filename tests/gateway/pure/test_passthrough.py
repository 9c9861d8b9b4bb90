"""What `/p/…` lets through: an allow-list, in every spelling of a path."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import passthrough
from gateway.errors import (
    InvalidPath,
    NotPermitted,
    UnknownPath,
    UnknownProvider,
    WrongMethod,
)
from gateway.passthrough import Access, Passage
from gateway.routing import Pool, Settings
from providers.snapshot import ProviderEntry
from tests.gateway.pure.snapshots import NAMES, TYPES, provider, snapshot, snapshots

INFERENCE = {
    *(("POST", path) for path in (
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses",
        "/v1/messages", "/v1/messages/count_tokens", "/v1/audio/transcriptions",
        "/v1/audio/translations", "/v1/score", "/v1/rerank", "/v2/rerank", "/v2/embed",
        "/tokenize", "/detokenize", "/pooling", "/score", "/rerank", "/classify",
        "/v1/chat/completions/batch",
    )),
    ("GET", "/v1/models"),
}  # fmt: skip
STATE = {
    *(("GET", path) for path in (
        "/health", "/ping", "/version", "/load", "/metrics", "/openapi.json",
    )),
    *(("POST", path) for path in (
        "/v1/chat/completions/render", "/v1/completions/render", "/v1/responses/render",
        "/v1/messages/render",
    )),
}  # fmt: skip
CONTROL = {
    *(("POST", path) for path in (
        "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/adapters", "/sleep", "/wake_up",
        "/pause", "/resume", "/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache",
        "/start_profile", "/stop_profile", "/abort_requests",
    )),
    *(("GET", path) for path in (
        "/adapters", "/is_sleeping", "/is_paused", "/tokenizer_info", "/server_info",
    )),
    ("DELETE", "/adapters/{name}"),
}  # fmt: skip
EXACT = sorted(pair for pair in INFERENCE | STATE | CONTROL if "{" not in pair[1])
NEVER = (
    "/invocations", "/inference/v1/generate", "/inference/v1/abort_requests",
    "/generative_scoring", "/collective_rpc", "/scale_elastic_ep", "/is_scaling_elastic_ep",
    "/init_weight_transfer_engine", "/update_weights", "/release_kv_cache_memory",
    "/get_world_size", "/docs", "/redoc", "/v1/systemone", "/kv_event_sources", "/v1/realtime",
    "/v1/chat/completions/derender", "/cohere/v1/rerank", "/",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


def below(path: str, provider_name: str = "vllm") -> bytes:
    return f"/p/{provider_name}{path}".encode()


@st.composite
def spellings(draw: st.DrawFn, path: str) -> bytes:
    """`/p/vllm` + `path` as RFC 3986 lets it be written: unreserved escapes and dot segments."""
    written = []
    for number, segment in enumerate(f"/p/vllm{path}".split("/")[1:]):
        if number >= 2 and draw(st.booleans()):
            written += draw(st.sampled_from([["."], ["x", ".."], ["x", "%2e", "y", "..", "%2E."]]))
        escaped = [
            draw(st.sampled_from([c, f"%{ord(c):02x}", f"%{ord(c):02X}"]))
            if UNRESERVED.match(c)
            else c
            for c in segment
        ]
        written.append("".join(escaped))
    return "/".join(["", *written]).encode()


def test_the_allow_list_is_the_documented_one():
    listed = {access: set() for access in Access}  # type: dict[Access, set[tuple[str, str]]]
    for route in passthrough.ROUTES:
        listed[route.access].add((route.method, route.path))
    assert listed[Access.INFERENCE] == INFERENCE
    assert listed[Access.STATE] == STATE
    assert listed[Access.CONTROL] == CONTROL
    assert len(passthrough.ROUTES) == len(INFERENCE) + len(STATE) + len(CONTROL)


@pytest.mark.parametrize(("method", "path"), EXACT)
def test_a_listed_route_passes_to_its_own_path(method, path):
    passage = passthrough.passage(method, below(path, "gpu-1"))
    assert (passage.provider, passage.path) == ("gpu-1", path)
    assert (passage.route.method, passage.route.path) == (method, path)


@pytest.mark.parametrize(("method", "path"), [pair for pair in EXACT if pair[1].startswith("/v1/")])
def test_a_route_below_v1_may_be_written_without_it(method, path):
    bare = path.removeprefix("/v1")
    expected = bare if (method, bare) in EXACT else path  # /score and /rerank are both
    assert passthrough.passage(method, below(bare)).path == expected


@given(st.sampled_from(EXACT).flatmap(lambda pair: st.tuples(st.just(pair), spellings(pair[1]))))
@example((("POST", "/tokenize"), b"/%70/vllm/x/%2e%2E/./%74okenize"))
def test_every_spelling_of_a_listed_route_is_that_route(case):
    (method, path), raw = case
    assert passthrough.passage(method, raw) == passthrough.passage(method, below(path))


@given(
    st.sampled_from(METHODS),
    st.sampled_from(NEVER).flatmap(lambda path: spellings(path) | spellings(f"/v1{path}")),
)
def test_what_is_never_let_through_is_not_in_any_spelling(method, raw):
    with pytest.raises(UnknownPath):
        passthrough.passage(method, raw)


pieces = st.sampled_from(
    [b"/", b"/p/vllm", b"/p/", b"..", b".", b"%2e", b"%2F", b"%5c", b"%00", b"%25", b";", b"\\",
     b"//", b"adapters", b"v1", b"tokenize", b"chat/completions", b"invocations", b"%", b"?", b"#",
     b"%c0%af", "ü".encode(), b"%C3%BC", b" ", b"\t", b"%0a"]
)  # fmt: skip
raw_paths = (
    st.binary(max_size=30)
    | st.builds(b"".join, st.lists(pieces | st.binary(max_size=2), max_size=8))
    | st.builds(b"/p/vllm/adapters/".__add__, st.binary(max_size=12))
    | st.builds(b"/p/vllm/adapters/".__add__, st.builds(b"".join, st.lists(pieces, max_size=3)))
)


@given(st.sampled_from(METHODS), raw_paths)
@example("DELETE", b"/p/vllm/adapters/..%2fsleep")
@example("DELETE", b"/p/vllm/adapters/%2e%2e")
@example("DELETE", b"/p/vllm/adapters/a?b#c")
@example("DELETE", b"/p/vllm/adapters/%zz")
def test_any_bytes_are_refused_or_lead_to_a_path_of_the_table(method, raw):
    try:
        passage = passthrough.passage(method, raw)
    except (InvalidPath, UnknownPath, WrongMethod):
        return
    assert isinstance(passage, Passage)
    assert passage.route in passthrough.ROUTES
    assert passage.route.method == method
    if passage.route.path != "/adapters/{name}":
        assert passage.path == passage.route.path
        return
    name = passage.path.removeprefix("/adapters/")
    assert re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", name)
    assert name not in {".", ".."}
    assert not set(b"/\\;\0") & set(unquote_to_bytes(name))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("my-lora", "my-lora"),
        ("a%20b", "a%20b"),
        ("%C3%BC", "%C3%BC"),
        ("a%3Fb", "a%3Fb"),
        ("a%23b", "a%23b"),
        ("...", "..."),
        ("a:b@c", "a%3Ab%40c"),
    ],
)
def test_an_adapters_name_is_quoted_anew(written, sent):
    passage = passthrough.passage("DELETE", below(f"/adapters/{written}"))
    assert passage.path == f"/adapters/{sent}"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", sorted({path for _, path in EXACT}))
def test_another_method_is_refused_with_those_that_are_allowed(method, path):
    if (method, path) in EXACT:
        return
    with pytest.raises((WrongMethod, UnknownPath)) as caught:
        passthrough.passage(method, below(path))
    assert isinstance(caught.value, WrongMethod)
    allowed = set(caught.value.headers["allow"].split(", "))
    assert {m for m, p in EXACT if p == path} <= allowed
    assert method not in allowed


@pytest.mark.parametrize(
    "raw",
    [
        b"/p/vllm//tokenize", b"//p/vllm/tokenize", b"/p//vllm/tokenize", b"/p/vllm%2Ftokenize",
        b"/p/vllm/%2ftokenize", b"/p/vllm/tokenize%5c", b"/p/vllm\\tokenize", b"/p/vllm/tokenize;x",
        b"/p/vllm/tokenize%3bx", b"/p/vllm/tokenize%00", b"/p/vllm/tokenize\0", b"/p/vllm/to kenize",
        b"/p/vllm/tokenize%0d%0a", b"/p/vllm/%2574okenize", b"/p/vllm/adapters/a%2Fb",
        b"/p/vllm/../../health", b"/p/vllm/..", b"/p/../v1/models", b"/p/vllm/%2e%2e/b/tokenize",
        b"/p/vllm/x/../../b/tokenize", b"/p/vllm/%c0%ae%c0%ae/tokenize", b"/p/vllm/\xff",
        b"/p/vllm/tokenize%7f",
    ],
)  # fmt: skip
def test_a_path_trick_is_an_invalid_path(raw):
    for method in METHODS:
        with pytest.raises(InvalidPath) as caught:
            passthrough.passage(method, raw)
        assert (caught.value.status, caught.value.code) == (400, "invalid_path")


@pytest.mark.parametrize(
    "raw",
    [b"", b"/", b"/p", b"/p/", b"/p/vllm", b"/p/vllm/", b"/p/vllm/tokenize/./x", b"/p/vllm/Tokenize",
     b"/p/vllm/tokenize/x", b"/p/vllm/v1", b"/p/vllm/v1/", b"/p/vllm/adapters/a/b",
     b"/p/vllm/%zztokenize"],
)  # fmt: skip
def test_what_is_not_listed_is_an_unknown_path(raw):
    for method in METHODS:
        with pytest.raises(UnknownPath):
            passthrough.passage(method, raw)


@pytest.mark.parametrize("access", Access)
@pytest.mark.parametrize("setting", ["off", "inference", "control"])
@pytest.mark.parametrize("is_master", [True, False])
def test_who_may_use_a_route_hangs_on_the_provider_and_the_key(access, setting, is_master):
    allowed = {
        ("inference", Access.INFERENCE, True),
        ("inference", Access.INFERENCE, False),
        ("inference", Access.STATE, True),
        ("control", Access.INFERENCE, True),
        ("control", Access.INFERENCE, False),
        ("control", Access.STATE, True),
        ("control", Access.CONTROL, True),
    }
    entry = provider("a", passthrough=setting)
    route = next(r for r in passthrough.ROUTES if r.access is access)
    if (setting, access, is_master) in allowed:
        passthrough.permit(route, entry, is_master=is_master)
        return
    with pytest.raises(NotPermitted) as caught:
        passthrough.permit(route, entry, is_master=is_master)
    assert (caught.value.status, caught.value.code) == (403, "not_permitted")


def test_a_name_means_that_provider_and_a_type_any_of_it_by_name():
    known = snapshot(
        provider("vllm", "X"), provider("vllm-b"), provider("a"), provider("z", type="other")
    )

    def names(of: str) -> list[str]:
        return [entry.name for entry in passthrough.candidates(of, known)]

    assert names("vllm-b") == ["vllm-b"]
    assert names("vllm") == ["vllm", "a", "vllm-b"]  # the one of that name first
    assert names("other") == ["z"]
    with pytest.raises(UnknownProvider) as caught:
        names("b")
    assert (caught.value.status, caught.value.code) == (404, "provider_not_found")


@given(snapshots(), st.sampled_from((*NAMES, *TYPES)) | st.text(max_size=5))
def test_candidates_are_of_that_name_or_type_and_each_comes_once(known, name):
    try:
        found = passthrough.candidates(name, known)
    except UnknownProvider:
        assert all(name not in {p.name, p.type} for p in known.providers.values())
        return
    assert {p.name for p in found} == {
        p.name for p in known.providers.values() if name in {p.name, p.type}
    }
    assert len({p.name for p in found}) == len(found) > 0


@pytest.mark.parametrize(
    ("model", "names"),
    [("X", "ab"), ("Y", "b"), ("nobody's", "a"), (None, "a"), ("b/Y", "a")],
)
def test_of_several_those_that_serve_the_model_are_taken_or_else_the_first(model, names):
    several = (provider("a", "X"), provider("b", "X", "Y"))
    assert [entry.name for entry in passthrough.serving(several, model)] == list(names)


@pytest.mark.parametrize(
    ("access", "names"), [(Access.INFERENCE, "abc"), (Access.STATE, "abc"), (Access.CONTROL, "ac")]
)
def test_of_the_others_only_those_that_allow_the_route_are_taken(access, names):
    settings = {"a": "control", "b": "inference", "c": "control", "d": "off"}
    several = [provider(name, passthrough=setting) for name, setting in settings.items()]
    route = next(r for r in passthrough.ROUTES if r.access is access)
    assert [entry.name for entry in passthrough.allowing(route, several)] == list(names)


SETTINGS = Settings(policy="least_loaded", queue_calls=7, queue_seconds=3.5)
HEAVY = provider("a", "X", weight=3.0)


def pool_of(name: str, *providers: ProviderEntry, path: str = "/tokenize") -> Pool:
    passage = passthrough.passage("POST", below(path, name))
    return passthrough.pool(list(providers), "X", passage, SETTINGS)


def test_the_provider_of_the_name_stands_before_those_of_the_type():
    found = pool_of("vllm", provider("vllm", "X"), HEAVY, provider("b", "X"))
    ways = [[(way.provider.name, way.path) for way in tier.ways] for tier in found.tiers]
    assert ways == [[("vllm", "/tokenize")], [("a", "/tokenize"), ("b", "/tokenize")]]
    assert found.tiers[1].weights == (3.0, 1.0)
    assert (found.policy, found.queue_calls, found.queue_seconds) == ("least_loaded", 7, 3.5)


def test_a_model_that_the_server_does_not_list_is_not_told():
    (tier,) = pool_of("a", provider("a", "Y")).tiers
    assert tier.ways[0].target.model == ""


def test_tiers_have_one_name_only_if_they_lead_the_same_ways():
    """By its name a call that waited finds its tier again."""
    servers = (provider("vllm", "X"), HEAVY)
    tiers = [
        tier
        for path in ("/tokenize", "/v1/chat/completions")
        for tier in pool_of("vllm", *servers, path=path).tiers
    ]
    assert len({tier.name for tier in tiers}) == 4
    again = pool_of("vllm", *servers).tiers
    assert [tier.name for tier in again] == [tier.name for tier in tiers[:2]]
