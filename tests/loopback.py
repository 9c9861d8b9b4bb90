"""How tests call servers on this machine with httpx."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tests.patience import PATIENCE_SECONDS

CLIENT: Mapping[str, Any] = MappingProxyType(
    {"timeout": PATIENCE_SECONDS, "trust_env": False, "verify": False}
)
"""For whatever of httpx's makes a client: `httpx.get(url, **CLIENT)`. Without a proxy; and without
reading the system's certificates, which takes 20 ms of processor time."""
