"""Aurora with two real, tiny vLLM servers behind it: `make demo`.

Prints where the admin is, its login, and three calls that work as printed; Ctrl-C ends all of it.
With `--check` it makes the three calls itself, through a shell, and says whether they worked.
The models are random and write gibberish.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.vllm import servers

WANTED_PORT = 8080
CALL_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Call:
    """A call to try: a line for a shell, and what stands in the answer if all is well."""

    title: str
    line: str
    expected: str


@dataclass(frozen=True, slots=True)
class Login:
    """What the demo's Aurora is entered with."""

    master_key: str
    admin_password: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="make the three calls, then end")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would have it ignored
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    login = Login("sk-aurora-" + secrets.token_urlsafe(24), secrets.token_urlsafe(9))
    with contextlib.suppress(KeyboardInterrupt), tempfile.TemporaryDirectory() as folder:
        print("Starting two vLLM servers and Aurora. This takes about a minute.", flush=True)
        with running(Path(folder), login) as url:
            calls = calls_to_try(url, login.master_key)
            print(page(url, login, calls), flush=True)
            if arguments.check:
                return check(calls)
            signal.pause()
    return 0


@contextlib.contextmanager
def running(folder: Path, login: Login) -> Iterator[str]:
    """Aurora's URL, while it and the two servers run; all are stopped at the end."""
    vllm_key = secrets.token_urlsafe(16)
    text = servers.vllm(
        "llama",
        servers.TEXT_MODEL,
        folder / "text.log",
        "--api-key",
        vllm_key,
        *servers.TEXT_FLAGS,
    )
    embed = servers.vllm("embed", servers.EMBED_MODEL, folder / "embed.log")
    aurora = servers.aurora(
        folder / "data",
        servers.free_port(WANTED_PORT),
        folder / "aurora.log",
        AURORA_MASTER_KEY=login.master_key,
        AURORA_ADMIN_PASSWORD=login.admin_password,
        VLLM_BASE_URL=text.url,
        VLLM_API_KEY=vllm_key,
        VLLM_EMBED_BASE_URL=embed.url,
    )
    with contextlib.ExitStack() as stack:
        for server in (text, embed):
            stack.callback(server.stop)
            server.start()
        for server in (text, embed):
            server.wait(servers.VLLM_READY_SECONDS)
        stack.callback(aurora.stop)
        aurora.start()
        aurora.wait(servers.AURORA_READY_SECONDS)
        servers.wait_for_models(aurora, login.master_key, count=2)
        yield aurora.url


def calls_to_try(url: str, master_key: str) -> list[Call]:
    """A chat, the same as a stream, and an embedding."""
    chat = {
        "model": f"vllm/{servers.TEXT_MODEL}",
        "messages": [{"role": "user", "content": "Hello!"}],
        "max_tokens": 24,
    }
    embedding = {"model": f"vllm-embed/{servers.EMBED_MODEL}", "input": "Hello!"}

    def curl(path: str, body: Mapping[str, object]) -> str:
        headers = [f"Authorization: Bearer {master_key}", "Content-Type: application/json"]
        words = ["curl", "-sSN", url + path]
        words += [word for header in headers for word in ("-H", header)]
        return shlex.join([*words, "-d", json.dumps(body)])

    return [
        Call("A chat", curl("/v1/chat/completions", chat), '"finish_reason":"'),
        Call("The same, streamed", curl("/v1/chat/completions", chat | {"stream": True}), "[DONE]"),
        Call("An embedding", curl("/v1/embeddings", embedding), '"embedding":['),
    ]


def page(url: str, login: Login, calls: list[Call]) -> str:
    """What is printed once all is ready."""
    parts = [
        f"The admin is at {url}/admin/ - log in as admin with the password {login.admin_password}",
        *(f"{call.title}:\n\n    {call.line}" for call in calls),
        "Ctrl-C ends Aurora and the servers.",
    ]
    return "\n" + "\n\n".join(parts) + "\n"


def check(calls: list[Call]) -> int:
    """Make the calls as printed. 0 if each brought what it should, else 1."""
    failed = 0
    for call in calls:
        done = subprocess.run(  # noqa: S602 - our own line, as its reader would enter it
            call.line, shell=True, capture_output=True, text=True, timeout=CALL_SECONDS, check=False
        )
        well = done.returncode == 0 and call.expected in done.stdout
        failed += not well
        print(f"{call.title}: {'works' if well else 'FAILED'}\n{done.stdout}{done.stderr}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
