"""How a server ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading

import pytest

from tests.aurora_site.server.apps import (
    GET,
    Told,
    answer,
    until_set,
)
from tests.aurora_site.server.client import Client
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS


def test_stopping_lets_running_calls_finish_and_closes_idle_connections(serve, server_thread):
    started, may_end = Told(), threading.Event()

    async def app(scope, receive, send):
        if scope["path"] == "/slow":
            started(None)
            await until_set(may_end)
        await answer(send)

    url = serve(app, drain_seconds=NEVER_SECONDS)
    with Client(url) as busy, Client(url) as idle, Client(url) as silent:
        assert idle.send(GET).answer().status == 200
        busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        started.get()
        server_thread.servers[url].stop()
        assert idle.closed()
        assert silent.closed()
        may_end.set()
        last = busy.answer()
        assert (last.status, last.headers["connection"]) == (200, "close")
        with pytest.raises(ConnectionRefusedError):
            Client(url)


def test_a_connection_whose_answer_was_on_its_way_is_closed_after_it(serve, server_thread):
    streaming, may_end, may_answer = Told(), threading.Event(), threading.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            streaming(None)
            await until_set(may_end)
        else:
            await until_set(may_answer)
        await send({"type": "http.response.body", "body": b"b"})

    url = serve(app, drain_seconds=NEVER_SECONDS)
    with Client(url) as client, Client(url) as slow:
        slow.send(GET)
        client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        streaming.get()
        server_thread.servers[url].stop()
        may_end.set()
        assert client.answer().body == b"ab"
        assert client.closed()
        may_answer.set()
        assert slow.answer().body == b"b"


def test_stopping_cancels_what_does_not_finish(serve, server_thread):
    started, cancelled = Told(), Told()

    async def app(scope, receive, send):
        started(None)
        try:
            await asyncio.sleep(NEVER_SECONDS)
        except asyncio.CancelledError:
            cancelled(None)
            raise

    url = serve(app, drain_seconds=0.1)
    with Client(url) as client:
        client.send(GET)
        started.get()
        server_thread.servers[url].stop()
        cancelled.get()
        assert client.answer().error["code"] == "stopping"


PROGRAM = """
import asyncio, sys
from aurora_site.server import Server

async def app(scope, receive, send):
    print("called", flush=True)
    await asyncio.sleep(float(sys.argv[1]))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})

Server(app, drain_seconds=600, on_listening=lambda host, port: print(port, flush=True)).run()
print("ended", flush=True)
"""


STUBBORN = PROGRAM.replace(
    'print("called", flush=True)',
    """print("called", flush=True)
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        print("cancelled", flush=True)""",
)
UNDER_NOHUP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)" + PROGRAM


SIGNALLED = """
import os, signal
from aurora_site.server import Server

def told(host, port):
    os.kill(os.getpid(), signal.SIGTERM)

Server(None, on_listening=told).run()
print("ended", flush=True)
"""


def line_of(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.fixture
def program():
    running: list[subprocess.Popen[bytes]] = []

    def start(seconds: str, source: str = PROGRAM) -> tuple[subprocess.Popen[bytes], str]:
        command = [sys.executable, "-W", "error", "-c", source, seconds]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.append(process)
        return process, f"http://127.0.0.1:{int(line_of(process))}"

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_process_after_the_running_call(program, number):
    process, url = program("0.4")
    with Client(url) as client, Client(url) as idle:
        client.send(GET)
        line_of(process)
        process.send_signal(number)
        assert idle.closed()
        assert client.answer().body == b"done"
        assert process.communicate(timeout=PATIENCE_SECONDS) == (b"ended\n", b"")
        assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_second_signal_cuts_the_drain_short(program, number):
    process, url = program("600")
    with Client(url) as client, Client(url) as idle:
        client.send(GET)
        line_of(process)
        process.terminate()
        assert idle.closed()
        process.send_signal(number)
        assert client.answer().error["code"] == "stopping"
        assert process.wait(PATIENCE_SECONDS) == 0


LEAVING = PROGRAM.replace(
    "drain_seconds=600,",
    'drain_seconds=600, leave_seconds=600, on_leaving=lambda: print("leaving", flush=True),',
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_calls_are_taken_until_balancers_have_noticed(program, number):
    process, url = program("0", LEAVING)
    with Client(url) as kept:
        kept.send(GET)
        assert line_of(process) == b"called\n"
        assert kept.answer().body == b"done"

        process.send_signal(number)

        assert line_of(process) == b"leaving\n"
        with Client(url) as new:
            for client in (kept, new):
                told = client.send(GET).answer()
                assert (told.body, told.headers["connection"]) == (b"done", "close")
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0


def test_whoever_presses_ctrl_c_does_not_wait_for_balancers(program):
    process, _ = program("0", LEAVING)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE_SECONDS)[0] == b"leaving\nended\n"


def test_a_third_signal_ends_also_what_does_not_let_itself_be_cancelled(program):
    process, url = program("600", STUBBORN)
    with Client(url) as client, Client(url) as idle:
        client.send(GET)
        line_of(process)
        process.terminate()
        assert idle.closed()
        process.terminate()
        assert line_of(process) == b"cancelled\n"
        process.terminate()
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, output) == (0, b"ended\n")
    assert errors.endswith(b"Told to stop a third time: ending at once\n")


def test_a_process_under_nohup_outlives_its_terminal(program):
    process, url = program("0", UNDER_NOHUP)
    process.send_signal(signal.SIGHUP)
    with Client(url) as client:
        assert client.send(GET).answer().body == b"done"
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0


def test_a_request_whose_head_was_on_its_way_is_answered(serve, server_thread):
    started, may_end = Told(), threading.Event()

    async def app(scope, receive, send):
        if scope["path"] == "/slow":
            started(None)
            await until_set(may_end)
        await answer(send)

    url = serve(app, drain_seconds=NEVER_SECONDS)
    with Client(url) as busy, Client(url) as late, Client(url) as idle:
        busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        started.get()
        late.send(GET[:-2])
        assert idle.send(GET).answer().status == 200  # by now the other's half is there as well
        server_thread.servers[url].stop()
        assert idle.closed()
        told = late.send(GET[-2:]).answer()
        assert (told.status, told.headers["connection"]) == (200, "close")
        may_end.set()
        assert busy.answer().status == 200


def test_a_signal_is_heard_as_soon_as_it_listens():
    command = [sys.executable, "-W", "error", "-c", SIGNALLED]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ended\n", b"")


TAKEN = """
import signal, socket
from twisted.internet.error import CannotListenError
from aurora_site.server import Server

with socket.create_server(("127.0.0.1", 0)) as taken:
    try:
        Server(None, port=taken.getsockname()[1]).run()
    except CannotListenError:
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)
"""


def test_one_that_cannot_listen_leaves_signals_as_they_were():
    """Else nothing could end a process that still waits for its database."""
    command = [sys.executable, "-W", "error", "-c", TAKEN]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True\n", b"")
