"""A vLLM server whose link goes down says nothing more: the system is told to look after it."""

from __future__ import annotations

from tests.mounted import CHAT, chat, request
from tests.tcp_options import KEEP_ALIVE, keep_alive_of, to_server


def test_a_server_that_goes_silent_within_a_call_is_probed(gateway, vllm):
    vllm.will_stall()
    gateway.connect().send(request("POST", CHAT, chat()))
    vllm.wait_until_received()

    assert keep_alive_of(to_server(gateway._door)) == KEEP_ALIVE
