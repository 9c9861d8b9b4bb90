"""What an answer says of the hints that came with its call: what was done, which is nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Raw

from gateway.translation import raw

NO_EDITS = b',"context_management":{"applied_edits":[]}'
"""Edits that clear or compact save room in the prompt, and happen only past a threshold that
Anthropic counts. Here none is made: the model reads all there is."""
_IN_USAGE = {
    "service_tier": b',"service_tier":"standard"',
    "speed": b',"speed":"standard"',
    "inference_geo": b',"inference_geo":"not_available"',
}


@dataclass(frozen=True, slots=True)
class Echo:
    """Members of the answer, as JSON behind what is there already."""

    of_message: bytes = b""
    of_usage: bytes = b""


NO_ECHO = Echo()


def read(members: Mapping[str, Raw]) -> Echo:
    given = {name for name, value in members.items() if not raw.is_null(value)}
    usage = b"".join(said for name, said in _IN_USAGE.items() if name in given)
    return Echo(NO_EDITS if "context_management" in given else b"", usage)
