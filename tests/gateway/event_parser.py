"""A parser of server-sent events, written from the HTML standard (9.2.6) and nothing else."""

from __future__ import annotations

import re


def events(stream: bytes) -> list[str]:
    """The data of each event that a browser would dispatch, in order."""
    dispatched: list[str] = []
    data: list[str] = []
    *lines, _unfinished = re.split(r"\r\n|\n|\r", stream.decode("utf-8", "replace"))
    for line in lines:
        name, _, value = line.partition(":")
        if not line:
            if data:
                dispatched.append("\n".join(data))
            data = []
        elif name == "data":
            data.append(value.removeprefix(" "))
    return dispatched
