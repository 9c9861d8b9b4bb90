"""Ports for servers that tests start."""

from __future__ import annotations

import random
import subprocess
import sys

from tests.processes import PORTS, free_port

ASK = "import sys; from tests.processes import free_port; print(free_port(int(sys.argv[1])))"


def given_elsewhere(wanted: int) -> int:
    """What another process is given, which would like `wanted`."""
    return int(subprocess.check_output((sys.executable, "-c", ASK, str(wanted)), timeout=60))


def test_no_port_is_given_twice_while_its_process_lives():
    port = free_port()

    assert port in PORTS
    assert free_port(port) != port
    assert given_elsewhere(port) != port


def test_a_port_can_be_given_again_when_its_process_has_ended():
    ports = [given_elsewhere(0) for _ in range(2)]  # others may take one in this moment

    assert any(free_port(port) == port for port in ports)


def test_a_seed_does_not_choose_the_port():
    given = set()
    for _ in range(3):
        random.seed(1)
        given.add(free_port())

    assert len(given) == 3
