"""What a server tells of a model's tokenizer, where it was started to tell it."""

from __future__ import annotations

import pytest

from providers.snapshot import AliasEntry, TargetEntry
from tests import recorded
from tests.mounted import MODEL, error_of, provider

PATH = "/tokenizer_info"
TOLD = recorded.load("full_tokenizer_info")


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        (f"?model={MODEL}", f"?model={MODEL.replace('/', '%2F')}"),
        (f"?a=%20b&model=alpha%2F{MODEL}", f"?a=%20b&model={MODEL.replace('/', '%2F')}"),
        ("?model=chat", f"?model={MODEL.replace('/', '%2F')}"),
        ("", ""),
        ("?model=", f"?model={MODEL.replace('/', '%2F')}"),
    ],
)
def test_the_tokenizer_is_that_of_a_server_of_the_model(gateway, vllm, query, sent):
    """Without a model it is the only one there is."""
    gateway.publish(
        provider(vllm.url, routes=frozenset({"/v1/chat/completions"})),
        aliases=[AliasEntry("chat", ((TargetEntry("", MODEL),),))],
    )
    vllm.will_replay(TOLD)

    answer = gateway.call("GET", PATH + query)

    assert (answer.status, answer.body) == (200, TOLD.body)
    [asked] = vllm.received
    assert (asked.method, asked.path_and_query, asked.body) == ("GET", PATH + sent, b"")
    assert (gateway.record()["path"], gateway.record()["model"]) == (PATH, MODEL)


def test_among_several_models_one_must_be_named(gateway, vllm):
    gateway.publish(provider(vllm.url, models=("a", "b")))

    answer = gateway.call("GET", PATH)

    assert (answer.status, error_of(answer)["param"]) == (400, "model")
    assert vllm.received == []


def test_a_server_that_does_not_tell_is_passed_over(gateway, vllm):
    gateway.publish(provider(vllm.url, "a"), provider(vllm.url, "b"))
    vllm.will_answer_json(404, {"detail": "Not Found"})
    vllm.will_replay(TOLD)

    assert gateway.call("GET", f"{PATH}?model={MODEL}").body == TOLD.body


def test_where_no_server_tells_it_the_error_says_why(gateway, vllm):
    vllm.will_answer_json(404, {"detail": "Not Found"}, always=True)

    error = error_of(gateway.call("GET", PATH))

    assert error["code"] == "unsupported_endpoint"
    assert "--enable-tokenizer-info-endpoint" in error["message"]


def test_a_model_that_nobody_serves_is_refused(gateway, vllm):
    assert gateway.call("GET", f"{PATH}?model=nope").status == 404
    assert vllm.received == []


def test_a_call_without_a_key_is_refused(gateway, vllm):
    assert gateway.call("GET", PATH, key=None).status == 401
    assert vllm.received == []
