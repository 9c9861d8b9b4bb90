"""Which variables are Aurora's, and which name was meant by one that is not. Pure.

vLLM reads some 300 variables of its own under the same prefix, and gains more with each release: of
those nothing is said, unless a name comes near one of ours that vLLM has never had.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches

PREFIXES = ("AURORA_", "VLLM_")
OF_TESTS = "AURORA_TEST_"
ENDINGS = ("BASE_URL", "API_KEY", "MODELS")
"""What follows `VLLM_` or `VLLM_<SUFFIX>_` in a variable that makes a provider."""
PROVIDER_VARIABLE = re.compile(
    rf"VLLM_(?:(?P<suffix>.*)_)?(?P<ending>{'|'.join(ENDINGS)})", re.DOTALL
)
_SHORT = {"URL": "BASE_URL", "KEY": "API_KEY", "MODEL": "MODELS"}
_OF_VLLM = {"VLLM_BUILD_URL"}
_NEAR = 0.85
"""Of the least similarity. Those of vLLM's names that come nearest have 0.8: `…_DEV_MODE`."""


def is_setting(name: str, options: Collection[str]) -> bool:
    return name in options or PROVIDER_VARIABLE.fullmatch(name) is not None


def unknown(names: Iterable[str], options: Collection[str]) -> Iterator[str]:
    """A sentence for each name that seems to be meant as one of ours, and is none."""
    for name in sorted(names):
        if is_setting(name, options) or not name.upper().startswith(PREFIXES):
            continue
        if name.upper().startswith("VLLM_"):
            near = _near_provider_variable(name)
            if near:
                yield f"{name}: has no effect; did you mean {near}?"
        elif not name.startswith(OF_TESTS):
            near = _near_option(name, options)
            hint = f"; did you mean {near}?" if near else ", since there is no such setting"
            yield f"{name}: has no effect{hint}"


def _near_option(name: str, options: Collection[str]) -> str:
    """What follows the prefix is compared: all else would come near by that alone."""
    rests = {option.removeprefix("AURORA_"): option for option in options}
    found = get_close_matches(name.upper().removeprefix("AURORA_"), rests, n=1)
    return rests[found[0]] if found else ""


def _near_provider_variable(name: str) -> str:
    """The variable that `name` is nearly, "" if it is not near any."""
    if name in _OF_VLLM:
        return ""
    words = name.upper().split("_")
    for count in range(len(words) - 1, 0, -1):
        last = "_".join(words[-count:])
        found = get_close_matches(last, ENDINGS, n=1, cutoff=_NEAR)
        ending = found[0] if found else _SHORT.get(last)
        if ending:
            return "_".join([*words[:-count], ending])
    return ""
