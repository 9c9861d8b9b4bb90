"""Which variables are Aurora's, and which name was meant by one that is not. Pure.

vLLM reads some 300 variables of its own under the same prefix, and gains more with each release: of
those nothing is said, unless a name comes near one of ours that vLLM has never had.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

PREFIXES = ("AURORA_", "VLLM_")
OF_TESTS = "AURORA_TEST_"
FILE = "_FILE"
"""Ends the name of a variable that says which file holds a setting's value."""
ENDINGS = ("BASE_URL", "API_KEY", "MODELS")
"""What follows `VLLM_` or `VLLM_<SUFFIX>_` in a variable that makes a provider."""
PROVIDER_VARIABLE = re.compile(
    rf"VLLM_(?:(?P<suffix>.*)_)?(?P<ending>{'|'.join(ENDINGS)})", re.DOTALL
)
_SHORT = {"URL": "BASE_URL", "KEY": "API_KEY", "MODEL": "MODELS"}
_OF_VLLM = {"VLLM_BUILD_URL"}
_NEAR = 0.85
"""Of the least similarity. Those of vLLM's names that come nearest have 0.8: `…_DEV_MODE`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The names of the settings: the options, and what makes providers. Each has one with `_FILE`."""

    options: Collection[str]
    with_providers: bool = True

    def has(self, name: str) -> bool:
        return name in self.options or (
            self.with_providers and PROVIDER_VARIABLE.fullmatch(name) is not None
        )

    def unknown(self, names: Iterable[str]) -> Iterator[str]:
        """A sentence for each name that seems to be meant as one of these, and is none."""
        for name in sorted(names):
            stem = name.removesuffix(FILE)
            if self.has(stem) or self.has(name):
                continue
            near = self._near(stem.upper())
            if near:
                ending = FILE if stem != name else ""
                yield f"{name}: has no effect; did you mean {near}{ending}?"
            elif name.startswith("AURORA_") and not name.startswith(OF_TESTS):
                yield f"{name}: has no effect, since there is no such setting"

    def _near(self, name: str) -> str:
        """The setting that `name` is nearly, "" if it is not near any."""
        if name.startswith(OF_TESTS):
            return ""
        if name.startswith("AURORA_"):
            return self._near_option(name)
        return _near_provider_variable(name) if name.startswith("VLLM_") else ""

    def _near_option(self, name: str) -> str:
        """What follows the prefix is compared: all else would come near by that alone."""
        rests = {option.removeprefix("AURORA_"): option for option in self.options}
        found = get_close_matches(name.removeprefix("AURORA_"), rests, n=1)
        return rests[found[0]] if found else ""


def _near_provider_variable(name: str) -> str:
    if name in _OF_VLLM:
        return ""
    words = name.split("_")
    for count in range(len(words) - 1, 0, -1):
        last = "_".join(words[-count:])
        found = get_close_matches(last, ENDINGS, n=1, cutoff=_NEAR)
        ending = found[0] if found else _SHORT.get(last)
        if ending:
            return "_".join([*words[:-count], ending])
    return ""
