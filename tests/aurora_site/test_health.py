"""The container's health check, by itself: it finds the address as `serve` does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from aurora_site import health

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Answering(threading.Thread):
    """Gives each connection this answer, once it has asked."""

    def __init__(self, host: str, answer: bytes) -> None:
        super().__init__(daemon=True)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, 0), family=family)
        self.port = str(self.socket.getsockname()[1])
        self.asked: list[bytes] = []
        self._answer = answer
        self.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(1000))
                connection.sendall(self._answer)


@pytest.fixture
def answering() -> Iterator:
    started: list[Answering] = []

    def start(answer: bytes = OK, host: str = "127.0.0.1") -> Answering:
        started.append(Answering(host, answer))
        return started[-1]

    yield start
    for each in started:
        each.socket.shutdown(socket.SHUT_RDWR)
        each.socket.close()
        each.join()


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1", "localhost"])
def test_a_server_that_answers_lives_wherever_it_listens(answering, host):
    server = answering()

    assert health.main({"AURORA_PORT": f'"{server.port}"\n', "AURORA_HOST": host}) == ""
    assert server.asked[0].startswith(b"GET /health HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"HTTP/1.1 2"]
)
def test_any_other_answer_is_a_problem(answering, answer):
    server = answering(answer)

    assert "/health is not answered with 200" in health.main({"AURORA_PORT": server.port})


def test_nobody_there_is_a_problem_that_names_the_address(answering):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

    assert health.main({"AURORA_PORT": port}) == f"127.0.0.1, port {port}: Connection refused"


def test_the_health_check_takes_no_port_from_kubernetes(answering, tmp_path):
    (tmp_path / ".env").write_text(f"AURORA_PORT={answering().port} # not the service's\n")

    assert health.main({"AURORA_PORT": "tcp://10.96.0.12:8080"}, tmp_path) == ""


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / ".env").write_text("hunter2 hunter2\n")

    assert health.main({}, tmp_path).startswith(f"{tmp_path / '.env'}: line 1: ")


def test_a_setting_that_cannot_be_used_is_told():
    assert health.main({"AURORA_PORT": "eighty"}).startswith("AURORA_PORT: a whole number")
