"""Standard output as a pipe that somebody reads, or nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.patience import PATIENCE_SECONDS

PROGRAM = """
import logging, sys
from aurora_site.logs import JsonFormatter, StdoutHandler

handler = StdoutHandler()
handler.setFormatter(JsonFormatter())
log = logging.getLogger("aurora.test")
log.propagate = False
logging.getLogger("aurora").addHandler(handler)
logging.getLogger("aurora.test").addHandler(handler)
for number in range({lines}):
    log.warning("x" * 500, extra={{"fields": {{"number": number}}}})
print("written", file=sys.stderr, flush=True)
sys.stdin.readline()
log.warning("the end")
"""


def start(lines: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(lines=lines)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_pipe_that_nobody_reads_holds_nothing_up_and_the_loss_is_told():
    lines = 20_000  # 12 MiB, past any pipe
    with start(lines) as process:
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == b"written\n"
        kept = read_what_is_there(process.stdout.fileno())
        rest, _ = process.communicate(b"\n", timeout=PATIENCE_SECONDS)
    numbers = [line["number"] for line in kept]
    assert numbers == list(range(len(kept)))
    assert 0 < len(kept) < lines
    end, told = (json.loads(line) for line in rest.splitlines())
    assert end["message"] == "the end"
    assert told["message"] == f"{lines - len(kept)} log lines were dropped"


def test_a_pipe_that_is_read_loses_nothing():
    with start(lines=50) as process:
        out, _ = process.communicate(b"\n", timeout=PATIENCE_SECONDS)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line.get("number") for line in lines] == [*range(50), None]


def read_what_is_there(descriptor: int) -> list[dict[str, object]]:
    os.set_blocking(descriptor, False)
    held = bytearray()
    while True:
        try:
            held += os.read(descriptor, 2**20)
        except BlockingIOError:
            os.set_blocking(descriptor, True)
            return [json.loads(line) for line in held.splitlines()]
