"""What an operator is told of a server that cannot be reached: each cause with what mends it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.upstream import fetch
from providers import faults
from providers.faults import Fault
from providers.fetch import FetchFailed, NoAnswerInTime
from tests.gateway.raw_upstream import RawUpstream
from tests.scripted_vllm import ScriptedVllm
from tests.tls_server import LONG_AGO, SOON, Authority, TlsServer

ROOT = Path(__file__).parent.parent.parent
SECONDS = 30.0
FEW_SECONDS = 2.0
"""Of a test that waits for their end: a second for a connection, and another for the answer."""
ASK_EACH = """
import asyncio, json, sys
from gateway.upstream import fetch
from providers.fetch import FetchFailed

async def said(url):
    try:
        return (await fetch(url, None, seconds=30.0, most_bytes=1000)).status
    except FetchFailed as error:
        return str(error)

print(json.dumps([asyncio.run(said(url)) for url in sys.argv[1:]]))
"""


def failure(url: str, seconds: float = SECONDS) -> FetchFailed:
    with pytest.raises(FetchFailed) as failed:
        asyncio.run(fetch(url, "Bearer a-secret", seconds=seconds, most_bytes=1000))
    assert "a-secret" not in failed.value.explained
    return failed.value


def told(fault: Fault) -> str:
    return f"Cannot be reached: {fault.fact}. {fault.mend}".strip()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The address of a port that is bound, and that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def test_the_causes_of_tls_are_told_apart_and_one_s_own_authority_can_be_trusted(
    authority: Authority,
) -> None:
    """In a process of its own, since SSL_CERT_FILE is read at the start."""
    certificates = {
        authority.issue("good"): 200,
        authority.issue("expired", ends=LONG_AGO): faults.EXPIRED,
        authority.issue("early", starts=SOON, ends=timedelta(days=9)): faults.NOT_YET_VALID,
        authority.issue("other-name", "elsewhere.example"): faults.OTHER_HOST,
        authority.issue("other-ip", "127.0.0.9"): faults.OTHER_HOST,
        authority.issue("self-signed", self_signed=True): faults.SELF_SIGNED,
    }
    with ExitStack() as running:
        servers = [running.enter_context(TlsServer(path)) for path in certificates]
        urls = [f"https://127.0.0.1:{server.port}/v1/models" for server in servers]
        trusting = asked_by_a_process(urls, {"SSL_CERT_FILE": str(authority.ca)})
        doubting = asked_by_a_process(urls[:1], {})

    expected = [
        f"Cannot be reached: {fault.fact}." if isinstance(fault, Fault) else fault
        for fault in certificates.values()
    ]
    assert trusting == expected
    assert doubting == [f"Cannot be reached: {faults.UNKNOWN_AUTHORITY.fact}."]


def asked_by_a_process(urls: list[str], environment: dict[str, str]) -> list[int | str]:
    inherited = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    output = subprocess.run(
        [sys.executable, "-c", ASK_EACH, *urls],
        env=inherited | environment,
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=300,
    ).stdout
    answers: list[int | str] = json.loads(output)
    return answers


def test_a_self_signed_certificate_is_told_with_how_to_trust_it(authority: Authority) -> None:
    with TlsServer(authority.issue("alone", self_signed=True)) as server:
        failed = failure(f"https://127.0.0.1:{server.port}/v1/models")

    assert failed.explained == told(faults.SELF_SIGNED)
    assert "SSL_CERT_FILE" in failed.mend


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", faults.PLAIN_HTTP),
        (b"", faults.TLS_ENDED),
    ],
    ids=["answers 400, as uvicorn does", "closes the connection"],
)
def test_https_to_a_server_of_plain_http_is_told(answer: bytes, fault: Fault) -> None:
    with RawUpstream(SECONDS) as server:
        url = server.url.replace("http:", "https:")
        serving = threading.Thread(target=answer_a_handshake, args=(server, answer))
        serving.start()
        failed = failure(f"{url}/models")
        serving.join(SECONDS)

    assert failed.explained == told(fault)


def answer_a_handshake(server: RawUpstream, answer: bytes) -> None:
    server.connection.recv(65_536)
    server.send(answer)
    server.connection.shutdown(socket.SHUT_WR)


def test_http_to_a_port_that_speaks_tls_is_told(authority: Authority) -> None:
    with TlsServer(authority.issue("strict", self_signed=True)) as server:
        failed = failure(f"http://127.0.0.1:{server.port}/v1/models")

    assert failed.explained == told(faults.SPEAKS_TLS)


def test_a_server_that_resets_connections_is_not_said_to_speak_tls(vllm: ScriptedVllm) -> None:
    vllm.keep_alive_seconds = 0.1  # for the TLS handshake that is tried then
    vllm.discovery.will_reset_before_answer()

    failed = failure(f"{vllm.url}/models")

    assert str(failed) == "Cannot be reached: the connection was closed before it answered."


def test_a_port_that_nobody_listens_on_is_told(nowhere: str) -> None:
    assert failure(f"http://{nowhere}/v1/models").explained == told(faults.REFUSED)


def test_a_host_that_is_not_found_is_told() -> None:
    failed = failure("http://no-such-host.invalid/v1/models")

    assert failed.explained == told(faults.HOST_NOT_FOUND)


def test_a_silent_server_is_told_from_one_that_takes_no_connection(vllm: ScriptedVllm) -> None:
    vllm.discovery.will_stall()

    failed = failure(f"{vllm.url}/models", seconds=FEW_SECONDS)

    assert isinstance(failed, NoAnswerInTime)
    assert str(failed) == "No answer within 2 s."
    assert "takes connections" in failed.mend


def test_a_server_that_takes_no_connection_in_time_is_told() -> None:
    """Of a listener whose queue is full, Linux drops what asks for a connection."""
    with ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        failed = failure(f"http://127.0.0.1:{address[1]}/v1/models", seconds=FEW_SECONDS)

    assert isinstance(failed, NoAnswerInTime)
    assert failed.explained == f"No connection within 1 s. {faults.NO_CONNECTION_IN_TIME.mend}"
