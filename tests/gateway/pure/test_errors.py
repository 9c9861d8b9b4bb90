"""The one error shape, and what each refusal says of itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors, refusals
from gateway.errors import GatewayError

TABLE = {
    # class: status, type, code, param
    "GatewayError": (500, "server_error", "internal_error", None),
    "InvalidRequest": (400, "invalid_request_error", "invalid_request", None),
    "InvalidJson": (400, "invalid_request_error", "invalid_json", None),
    "InvalidPath": (400, "invalid_request_error", "invalid_path", None),
    "UnsupportedEncoding": (415, "invalid_request_error", "unsupported_content_encoding", None),
    "UnsupportedEndpoint": (400, "invalid_request_error", "unsupported_endpoint", None),
    "MissingRoute": (400, "invalid_request_error", "unsupported_endpoint", None),
    "NotStored": (400, "invalid_request_error", "not_stored", None),
    "Unauthorized": (401, "authentication_error", "invalid_api_key", None),
    "NotPermitted": (403, "permission_error", "not_permitted", None),
    "UnknownPath": (404, "invalid_request_error", "unknown_path", None),
    "UnknownModel": (404, "invalid_request_error", "model_not_found", "model"),
    "UnknownProvider": (404, "invalid_request_error", "provider_not_found", None),
    "Unknown": (404, "invalid_request_error", "not_found", None),
    "UnknownResponse": (404, "invalid_request_error", "response_not_found", None),
    "UnknownConversation": (404, "invalid_request_error", "conversation_not_found", None),
    "UnknownItem": (404, "invalid_request_error", "item_not_found", None),
    "UnknownThread": (404, "invalid_request_error", "thread_not_found", None),
    "WrongMethod": (405, "invalid_request_error", "method_not_allowed", None),
    "SlowUpload": (408, "invalid_request_error", "upload_stalled", None),
    "BodyTooLarge": (413, "invalid_request_error", "body_too_large", None),
    "HeadTooLarge": (431, "invalid_request_error", "head_too_large", None),
    "TooManyInBackground": (429, "rate_limit_error", "too_many_in_background", None),
    "TooBusy": (429, "rate_limit_error", "servers_busy", None),
    "NotImplementedHere": (501, "server_error", "not_implemented", None),
    "StateUnavailable": (503, "server_error", "state_unavailable", None),
    "NotReady": (503, "server_error", "not_ready", None),
    "MemoryFull": (503, "server_error", "memory_full", None),
    "StorageFull": (429, "rate_limit_error", "storage_full", None),
    "ModelsUnknown": (503, "server_error", "models_unknown", "model"),
    "Stopping": (503, "server_error", "stopping", None),
    "UpstreamError": (502, "provider_error", "upstream_error", None),
    "UpstreamUnreachable": (502, "provider_error", "upstream_unreachable", None),
    "DatabaseUnavailable": (503, "server_error", "database_unavailable", None),
    "DatabaseBusy": (503, "server_error", "database_busy", None),
    "DatabaseFull": (507, "server_error", "database_full", None),
    "SchemaMismatch": (500, "server_error", "schema_mismatch", None),
    "NoServer": (503, "provider_error", "no_server", None),
    "UpstreamRefusedKey": (502, "provider_error", "upstream_auth", None),
    "UpstreamBroke": (502, "provider_error", "upstream_broke", None),
    "UpstreamStale": (502, "provider_error", "upstream_broke", None),
    "UpstreamUnreadable": (502, "provider_error", "upstream_broke", None),
    "LoopDetected": (508, "provider_error", "loop_detected", None),
    "UpstreamTimeout": (504, "provider_error", "upstream_timeout", None),
    "UpstreamConnectTimeout": (504, "provider_error", "upstream_connect_timeout", None),
}


def tree(root: type[GatewayError]) -> list[type[GatewayError]]:
    """Every class that `errors` draws; `refusals.Reworded` takes its status from the server."""
    below = [found for child in root.__subclasses__() for found in tree(child)]
    return [root, *(c for c in below if c.__module__ == errors.__name__)]


def made(kind: type[GatewayError]) -> GatewayError:
    return kind(["POST", "GET"]) if kind is errors.WrongMethod else kind("What went wrong.")


@pytest.mark.parametrize("kind", tree(GatewayError), ids=lambda kind: kind.__name__)
def test_every_refusal_has_its_status_type_and_code(kind):
    error = made(kind)
    assert (error.status, error.type, error.code, error.param) == TABLE[kind.__name__]


def test_no_refusal_is_missing_from_the_table():
    assert sorted(kind.__name__ for kind in tree(GatewayError)) == sorted(TABLE)


@pytest.mark.parametrize("kind", tree(GatewayError), ids=lambda kind: kind.__name__)
def test_every_refusal_is_of_the_one_shape(kind):
    error = made(kind)
    _, type_, code, param = TABLE[kind.__name__]
    assert json.loads(errors.shape(error)) == {
        "error": {"message": str(error), "type": type_, "param": param, "code": code}
    }


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_message_survives_the_shape_and_breaks_no_line(message):
    shaped = errors.shaped(message, type="t", code="c")
    assert json.loads(shaped)["error"]["message"] == message
    assert not set(shaped) & set(b"\r\n")


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.Unauthorized("x"), {"www-authenticate": 'Bearer realm="aurora"'}),
        (errors.WrongMethod({"POST", "GET"}), {"allow": "GET, POST"}),
        (errors.NotReady("x"), {"retry-after": "1"}),
        (errors.ModelsUnknown("x"), {"retry-after": "5"}),
        (errors.Stopping("x"), {"retry-after": "1"}),
        (errors.StateUnavailable("x"), {"retry-after": "1"}),
        (errors.TooManyInBackground("x"), {"retry-after": "1"}),
        (errors.TooBusy("x"), {"retry-after": "1"}),
        (errors.NoServer("x"), {"retry-after": "1"}),
        (errors.NoServer("x", seconds=0.0), {"retry-after": "1"}),
        (errors.NoServer("x", seconds=2.1), {"retry-after": "3"}),  # whole seconds, none too few
        (errors.UnknownPath("x"), {}),
    ],
)
def test_some_refusals_carry_a_header(error, headers):
    assert error.headers == headers


def test_a_wrong_method_names_the_right_ones():
    assert str(errors.WrongMethod({"POST", "GET"})) == "Only GET, POST can be used here."


def test_an_invalid_request_may_name_its_parameter():
    error = errors.InvalidRequest("no", param="model")
    assert json.loads(errors.shape(error))["error"]["param"] == "model"


def test_only_what_was_not_sent_may_be_sent_elsewhere():
    """Whether another provider is tried hangs on this class."""
    not_sent = {kind for kind in tree(GatewayError) if issubclass(kind, errors.UpstreamUnreachable)}
    assert not_sent == {errors.UpstreamUnreachable, errors.UpstreamConnectTimeout}


def test_a_client_that_left_is_no_refusal():
    assert not issubclass(errors.ClientGone, GatewayError)


def test_a_reworded_answer_is_a_refusal_of_the_servers_own_status():
    assert issubclass(refusals.Reworded, GatewayError)
