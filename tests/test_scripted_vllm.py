"""The test tools themselves: what a script promises is what a raw socket sees."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests import recorded
from tests.raw_http import Answer, CutShortError, RawClient, request_bytes
from tests.scripted_vllm import ScriptedVllm

CHAT = request_bytes("POST", "/v1/chat/completions", body=b'{"model":"m","messages":[]}')


@pytest.fixture
def vllm() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        yield server


@pytest.fixture
def client(vllm: ScriptedVllm) -> Iterator[RawClient]:
    with connect(vllm) as client:
        yield client


def connect(vllm: ScriptedVllm) -> RawClient:
    return RawClient("127.0.0.1", vllm.port)


def read_even_if_cut(client: RawClient, to_head: bool) -> Answer:
    try:
        return client.read_answer(to_head)
    except CutShortError as cut:
        if cut.answer is None:
            raise
        return cut.answer


def test_models_and_health_are_answered_and_are_no_calls(vllm, client):
    vllm.models = ["one", "two"]
    client.send(request_bytes("GET", "/v1/models"))
    cards = client.read_answer().json["data"]
    client.send(request_bytes("GET", "/health"))
    health = client.read_answer()

    assert [card["id"] for card in cards] == ["one", "two"]
    assert (health.status, health.body) == (200, b"")
    assert [seen.path for seen in vllm.discoveries] == ["/v1/models"]
    assert [seen.path for seen in vllm.probes] == ["/health"]
    assert vllm.received == []


def test_discovery_has_scripts_of_its_own(vllm, client):
    vllm.discovery.will_answer(500)
    client.send(CHAT + request_bytes("GET", "/v1/models"))

    assert client.read_answer().status == 200
    assert client.read_answer().status == 500


def test_unscripted_calls_get_a_real_answer_and_unknown_routes_404(client):
    client.send(CHAT)
    assert client.read_answer().json["object"] == "chat.completion"
    client.send(request_bytes("POST", "/v1/chat/completions", body=b'{"stream":true}'))
    assert client.read_answer().chunks[-1] == b"data: [DONE]\n\n"
    client.send(request_bytes("POST", "/nope"))
    assert client.read_answer().json == {"detail": "Not Found"}


def test_a_request_is_recorded_as_it_came(vllm, client):
    client.send(request_bytes("POST", "/v1/x?a=%2F", [("X-Two", "1"), ("x-two", "2")], b"{}"))
    client.read_answer()

    [seen] = vllm.received
    assert (seen.method, seen.path_and_query, seen.path) == ("POST", "/v1/x?a=%2F", "/v1/x")
    assert (seen.body, seen.json, seen.connection) == (b"{}", {}, 1)
    assert [pair for pair in seen.header_pairs if pair[0].lower() == "x-two"] == [
        ("X-Two", "1"),
        ("x-two", "2"),
    ]


def test_chunked_bodies_and_expect_continue_are_understood(vllm, client):
    headers = [("Transfer-Encoding", "chunked"), ("Expect", "100-continue")]
    client.send(request_bytes("POST", "/v1/chat/completions", headers))
    assert client.read_head().start == ("HTTP/1.1", "100", "Continue")
    client.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    client.read_answer()

    assert vllm.received[0].body == b"abcde"


def test_scripts_are_played_in_order_and_the_last_may_stay(vllm, client):
    vllm.will_answer(418, [("x-tea", "yes")], b"short and stout")
    vllm.will_answer_json(503, {"error": "full"}, always=True)
    client.send(CHAT * 3)
    first, *others = [client.read_answer() for _ in range(3)]

    assert (first.status, first.headers["x-tea"], first.body) == (418, "yes", b"short and stout")
    assert [(other.status, other.json) for other in others] == [(503, {"error": "full"})] * 2
    assert {seen.connection for seen in vllm.received} == {1}


def test_each_chunk_of_a_stream_is_its_own_write(vllm, client):
    vllm.will_stream(b"one", b"two", pause_seconds=0.05)
    client.send(CHAT)
    assert client.read_head().headers["content-type"] == "text/event-stream; charset=utf-8"
    started = time.monotonic()

    assert [client.read_chunk(), client.read_chunk(), client.read_chunk()] == [b"one", b"two", b""]
    assert time.monotonic() - started > 0.08


def test_any_bytes_can_be_sent(vllm, client):
    vllm.will_send(b"SSH-2.0-", b"OpenSSH\r\n", then="close")
    client.send(CHAT)

    assert client.read_rest() == b"SSH-2.0-OpenSSH\r\n"


def test_a_cut_stream_ends_without_its_last_chunk(vllm, client):
    vllm.will_cut_after(b"one", b"two")
    client.send(CHAT)

    with pytest.raises(CutShortError) as cut:
        client.read_answer()
    assert cut.value.answer is not None
    assert cut.value.answer.chunks == [b"one", b"two"]


def test_a_stream_can_be_cut_by_a_reset(vllm, client):
    vllm.will_cut_after(b"one", how="reset")
    client.send(CHAT)

    with pytest.raises(ConnectionResetError):
        client.read_answer()
    assert vllm.left_at == []


def test_a_connection_can_be_reset_before_the_answer(vllm, client):
    vllm.will_reset_before_answer()
    client.send(CHAT)

    with pytest.raises(ConnectionResetError):
        client.read_answer()
    assert vllm.received[0].json["model"] == "m"


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
def test_it_is_seen_when_the_client_leaves_a_stalled_call(vllm, client, leave):
    vllm.will_stall(after_chunks=[b"one"])
    client.send(CHAT)
    client.read_head()
    assert client.read_chunk() == b"one"
    assert vllm.left_at == []

    getattr(client, leave)()

    vllm.wait_until_left()
    assert len(vllm.left_at) == 1


def test_a_stall_before_the_headers_sends_nothing(vllm):
    vllm.will_stall()
    with RawClient("127.0.0.1", vllm.port, timeout_seconds=0.1) as client:
        client.send(CHAT)
        vllm.wait_until_received(1)
        with pytest.raises(TimeoutError):
            client.read_answer()
        with pytest.raises(AssertionError, match="did not leave"):
            vllm.wait_until_left(0.05)
    vllm.wait_until_left()


def test_a_client_that_leaves_after_its_answer_has_not_left_a_call(vllm):
    with connect(vllm) as client:
        client.send(CHAT)
        client.read_answer()
    with pytest.raises(AssertionError, match="did not leave"):
        vllm.wait_until_left(0.1)


def test_a_stopped_server_refuses_and_starts_again_on_its_port(vllm, client):
    port = vllm.port
    client.send(CHAT)
    client.read_answer()
    vllm.will_refuse()

    assert client.read_rest() == b""
    with pytest.raises(ConnectionRefusedError):
        connect(vllm)
    vllm.start()
    assert vllm.port == port
    with connect(vllm) as again:
        again.send(CHAT)
        assert again.read_answer().status == 200


def test_it_stops_also_while_clients_are_just_connecting(vllm):
    """A connection may be accepted in the very round in which the server closes."""
    address, over = ("127.0.0.1", vllm.port), threading.Event()

    def knock() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                socket.create_connection(address).close()

    knocking = threading.Thread(target=knock, daemon=True)
    knocking.start()
    try:
        for _ in range(300):
            vllm.stop()
            vllm.start()
    finally:
        over.set()
        knocking.join()


def test_a_tls_hello_is_refused_at_once(client):
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
    assert client.read_answer().status == 400
    assert client.read_rest() == b""


def test_idle_connections_are_closed_after_a_while(vllm):
    vllm.keep_alive_seconds = 0.1
    with connect(vllm) as client:
        client.send(CHAT)
        assert client.read_answer().status == 200
        assert client.read_rest() == b""


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v1/chat/completions", "right", 200),
        ("/v1/chat/completions", "wrong", 401),
        ("/v2/nope", "wrong", 401),
        ("/tokenize", "wrong", 200),
    ],
)
def test_a_required_key_guards_what_vllm_guards(vllm, client, path, key, status):
    vllm.required_key = "right"
    client.send(request_bytes("POST", path, [("Authorization", f"Bearer {key}")]))
    answer = client.read_answer()

    assert answer.status == status
    assert (answer.body == b'{"error":"Unauthorized"}') == (status == 401)


def test_what_goes_wrong_inside_fails_the_test():
    with pytest.raises(AssertionError, match="smuggling"), ScriptedVllm() as vllm:
        send_two_lengths(vllm)


def send_two_lengths(vllm: ScriptedVllm) -> None:
    both = [("Content-Length", "3"), ("Transfer-Encoding", "chunked")]
    with connect(vllm) as client:
        client.send(request_bytes("POST", "/v1/chat/completions", both))
        assert client.read_rest() == b""


@pytest.mark.parametrize("name", recorded.one_of_a_kind(recorded.names(), each_path=False))
def test_a_recording_is_replayed_as_it_was(vllm, client, name):
    recording = recorded.load(name)
    vllm.will_replay(recording)
    client.send(CHAT)
    answer = read_even_if_cut(client, to_head=recording.method == "HEAD")

    assert (answer.status, answer.reason, answer.pairs) == (
        recording.status,
        recording.reason,
        recording.headers,
    )
    assert answer.body == recording.body
    assert tuple(answer.chunks) == (recording.reads if recording.chunked else ())


def test_recordings_keep_the_pieces_of_a_stream():
    stream = recorded.load("gen_chat_stream")

    assert stream.streamed
    assert len(stream.reads) == 10
    assert stream.reads[-1] == b"data: [DONE]\n\n"
    assert recorded.load("gen_chat_plain").json["object"] == "chat.completion"
    assert b"EngineCore" in recorded.load("shutdown_kill").reads[-2]
    assert b'"abort"' in recorded.load("shutdown_term").body
    assert recorded.load("full_resp_get_stored_stream").broken
    assert len(recorded.load("embed_emb_bytes").body) == 256


def test_recorded_request_bodies_are_as_long_as_they_say():
    for recording in map(recorded.load, recorded.names()):
        headers = {key.lower(): value for key, value in recording.request_headers}
        length = len(recording.request_body)

        assert length == int(headers.get("content-length", length)), recording.name
