"""A provider as the environment and the YAML file want it to be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from providers import addresses


class SeedError(ValueError):
    """Nothing was seeded. One line for each problem, each saying where and what would be right."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One provider; what nobody said has the default that the model has too.

    `place` is where the YAML file speaks of it, for messages; empty if only the environment does.
    `said_by` has the source of each member that was said.
    """

    name: str
    source: Literal["env", "yaml"]
    place: str = field(default="", compare=False)
    said_by: Mapping[str, str] = field(default_factory=dict, compare=False)
    type: str = "vllm"
    base_url: str = addresses.DEFAULT_BASE_URL
    api_key: str = field(default="", repr=False)
    models: tuple[str, ...] = ()
    models_mode: str = ""
    enabled: bool = True
    passthrough: str = "inference"
    translation: str = "auto"
    weight: float = 1
    max_concurrency: int | None = None
    draining: bool = False
    repeats_after_timeout: bool = False
    connect_seconds: float = 5
    first_byte_seconds: float = 600
    idle_seconds: float = 300

    def without_strange_key(self, key_was_for: str) -> Wanted:
        """Without its key where that was for another origin than its URL's is."""
        if not self.api_key or addresses.same_origin(self.base_url, key_was_for):
            return self
        said_by = {member: by for member, by in self.said_by.items() if member != "api_key"}
        return replace(self, api_key="", said_by=said_by)

    @property
    def named_by(self) -> frozenset[str]:
        """The sources that name it."""
        return frozenset(self.said_by.values()) or frozenset({self.source})

    @property
    def mode(self) -> str:
        """The mode that was given, else the one that suits the list."""
        return self.models_mode or ("fallback" if self.models else "discover")
