"""Variables that Kubernetes puts into each pod of a namespace for a service named aurora or vllm.

`AURORA_PORT=tcp://10.96.0.12:8080` is one of them, and not the port that anybody chose. Docker's
links make the same ones. https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aurora_site.environment.names import PREFIXES

_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://\S+:\d+")
_PORT = re.compile(r".+_PORT|.+_PORT_\d+_(?:TCP|UDP|SCTP)")
_HOST = re.compile(r".+_SERVICE_HOST|.+_PORT_\d+_(?:TCP|UDP|SCTP)_ADDR")
_NUMBER = re.compile(r".+_SERVICE_PORT(?:_.+)?|.+_PORT_\d+_(?:TCP|UDP|SCTP)_PORT")
_PROTOCOL = re.compile(r".+_PORT_\d+_(?:TCP|UDP|SCTP)_PROTO")


def injected(values: Mapping[str, str]) -> list[str]:
    """The names of those that are Kubernetes', sorted: by their names and their values."""
    return sorted(
        name
        for name, value in values.items()
        if name.startswith(PREFIXES) and _is_injected(name, value)
    )


def _is_injected(name: str, value: str) -> bool:
    if _NUMBER.fullmatch(name):
        return value.isdecimal()
    if _PORT.fullmatch(name):
        return _ADDRESS.fullmatch(value) is not None
    return bool(_HOST.fullmatch(name) or _PROTOCOL.fullmatch(name))
