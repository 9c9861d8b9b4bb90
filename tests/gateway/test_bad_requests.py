"""Methods, paths and heads that lead nowhere: each gets its 4xx in the one shape."""

from __future__ import annotations

import pytest

from tests.mounted import CHAT, MASTER_KEY, chat, error_of

READ = "GET, HEAD"


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        *(
            (CHAT, method, "POST")
            for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
        ),
        ("/v1/completions", "GET", "POST"),
        ("/v1/embeddings", "GET", "POST"),
        ("/v1/models", "POST", READ),
        ("/v1/models/alpha/x", "DELETE", READ),
        ("/health", "POST", READ),
        ("/ready", "OPTIONS", READ),
        (CHAT, "TRACE", "POST"),
        (CHAT, "post", "POST"),
        (CHAT, "BREW", "POST"),
    ],
)
def test_a_wrong_method_is_405_and_told_the_right_one(gateway, vllm, path, method, allow):
    answer = gateway.call(method, path)

    assert answer.status == 405
    assert answer.headers["allow"] == allow
    assert answer.headers["content-type"] == "application/json"
    if method != "HEAD":
        assert error_of(answer)["code"] == "method_not_allowed"
    assert vllm.received == []
    assert gateway.record()["reason"].startswith("method_not_allowed")


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/v1", "/v1/", "/v1/chat", "/V1/models", "/v1/models;x", "/p", "/p/", "/healthz",
     "//nowhere/", "/v2/models",
     "/v1/../v1/models", "/./v1/models", "/v1%5cmodels", "/%00", "/v1/chat/completions%20",
     "/chat/completions", "/docs", "/openapi.json", "/metrics/x", "*"],
)  # fmt: skip
def test_an_unknown_path_is_404(gateway, vllm, path):
    answer = gateway.call("GET", path)

    assert answer.status == 404
    assert error_of(answer)["code"] == "unknown_path"
    assert vllm.received == []
    assert gateway.record()["path"] in {"unmatched", "/p/{passage}"}


def test_an_unknown_path_is_repeated_but_not_at_any_length(gateway):
    answer = gateway.call("GET", "/" + "x" * 5000)

    assert answer.status == 404
    assert len(answer.body) < 400


@pytest.mark.parametrize("path", ["/v1/%6dodels", "/%761/models", "/v1/models?", "/v1/models?a=/b"])
def test_a_path_is_the_same_however_it_is_encoded(gateway, path):
    assert gateway.call("GET", path).status == 200


BAD_HEADS = {
    "no colon": b"GET /health HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    "space in a name": b"GET /health HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n",
    "space before the colon": b"GET /health HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
    "folded": b"GET /health HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
    "no name": b"GET /health HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",
    "NUL": b"GET /health HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    "bare line feed": b"GET /health HTTP/1.1\r\nHost: a\r\nX: 1\nY: 2\r\n\r\n",
    "two lengths": b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and chunks": b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
    "length no number": b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
    "negative length": b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "unknown coding": b"POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "no version": b"GET /health\r\n\r\n",
    "space in the path": b"GET /hea lth HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab in the path": b"GET /hea\tlth HTTP/1.1\r\nHost: a\r\n\r\n",
    "not ASCII in the path": b"GET /hea\xfflth HTTP/1.1\r\nHost: a\r\n\r\n",
    "another version": b"GET /health HTTP/3.0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("head", BAD_HEADS.values(), ids=BAD_HEADS)
def test_a_bad_head_is_400_and_the_log_says_why(gateway, vllm, head):
    client = gateway.connect()
    client.send(head)

    answer = client.read_answer()
    assert answer.status == 400
    assert error_of(answer)["type"] == "invalid_request_error"
    assert client.read_rest() == b""
    [line] = gateway.lines("aurora.server", "status")
    assert (line["status"], bool(line["reason"])) == (400, True)
    assert vllm.received == []


@pytest.mark.parametrize(
    "headers",
    [[("X-Long", "x" * 70_000)], [(f"X-{number}", "1") for number in range(300)]],
    ids=["long", "many"],
)
def test_a_head_without_measure_is_431(gateway, headers):
    answer = gateway.call("GET", "/health", headers=headers)

    assert answer.status == 431
    assert error_of(answer)["type"] == "invalid_request_error"


def test_a_head_of_60_kilobytes_is_fine(gateway, vllm):
    assert gateway.call("POST", CHAT, chat(), [("X-Long", "x" * 60_000)]).status == 200
    assert len(vllm.received[0].headers["x-long"]) == 60_000


def test_a_header_with_an_underscore_is_not_taken_for_another(gateway, vllm):
    answer = gateway.call("POST", CHAT, chat(), [("X_Api_Key", MASTER_KEY)], key=None)

    assert answer.status == 401


TRICKS = [
    "/p/vllm/../../v1/models",
    "/p/alpha/../../v1/models",
    "/p/alpha/../beta/tokenize",
    "/p/../p/alpha/tokenize/../../..",
    "/p/alpha/%2e%2e/%2e%2e/v1/models",
    "/p/alpha/%2E%2e/beta/tokenize",
    "/p/alpha/.%2e/.%2e/admin",
    "/p/alpha%2F..%2Fbeta/tokenize",
    "/p/alpha/v1%2fchat%2Fcompletions",
    "/p/alpha/tokenize%2F",
    "/p/alpha/..%5c..%5cv1/models",
    "/p/alpha/\\tokenize",
    "/p/alpha//tokenize",
    "/p//alpha/tokenize",
    "/p/alpha/tokenize//",
    "/p/alpha/tokenize;x=1",
    "/p/alpha;v=1/tokenize",
    "/p/alpha/tokenize%3bx",
    "/p/alpha/tokenize%00",
    "/p/alpha/tokenize%00.json",
    "/p/alpha/%252e%252e/tokenize",
    "/p/alpha/tokeniz%2565",
    "/p/alpha/token%09ize",
    "/p/alpha/tokenize%0d%0aX-Evil:%201",
    "/p/alpha/tokenize%20",
    "/p/alpha/tokenize%7f",
    "/p/alpha/%ff",
    "/p/alpha/%c0%ae%c0%ae/tokenize",
    "/p/alpha/tokenize%",
    "/p/alpha/tokenize%zz",
    "/p/alpha/tokenize//",
    "/p/alpha/TOKENIZE",
    "/p/alpha/tokenize.json",
    "/p/alpha/v1/tokenize/../../../alpha/tokenize",
    "/p/alpha/adapters/..",
    "/p/alpha/adapters/%2e%2e",
    "/p/alpha/adapters/a%2fb",
    "/p/..",
    "/p/%2e%2e/tokenize",
    "/p/./tokenize",
]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("path", TRICKS)
def test_a_path_trick_never_reaches_vllm(gateway, vllm, path, method):
    answer = gateway.call(method, path, b'{"prompt":"x"}')

    error = error_of(answer)
    assert answer.status in {400, 404, 405}
    assert error["type"] == "invalid_request_error"
    assert error["code"] in {
        "invalid_path",
        "unknown_path",
        "provider_not_found",
        "method_not_allowed",
    }
    assert vllm.received == []
    assert gateway.record()["reason"].startswith(error["code"])


@pytest.mark.parametrize(
    "path",
    ["/p/alpha/./tokenize", "/p/alpha/x/../tokenize", "/p/alpha/%74okenize", "/p/%61lpha/tokenize",
     "/p/alpha/v1/../tokenize", "/p/alpha/tokenize/.", "/p/alpha/v1/tokenize"],
)  # fmt: skip
def test_harmless_spellings_send_the_lists_own_path(gateway, vllm, path):
    gateway.call("POST", path, b'{"prompt":"x"}')

    assert vllm.received[0].path_and_query == "/tokenize"
