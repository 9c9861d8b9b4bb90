"""How each kind of value is read. A reader returns the value or raises ValueError with what would
be right, never repeating the value: it may be a secret in the wrong place. Pure.

Text is accepted for numbers and booleans, since that is what a variable holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from providers import addresses, secrets

LEAST_SECONDS, MOST_SECONDS = 0.1, 86_400
LEAST_WEIGHT, MOST_WEIGHT = 0.01, 1000
LEAST_CONCURRENCY, MOST_CONCURRENCY = 1, 1_000_000
_TRUTH = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_KINDS = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


def kind(value: Any) -> str:
    """What a value is, in an operator's words."""
    return _KINDS.get(type(value), "text" if isinstance(value, str) else "something else")


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"text is needed, not {kind(value)}; put it in quotes")
    if not value.strip().isprintable():
        raise ValueError("it holds control or other unprintable characters")
    return value.strip()


def base_url(value: Any) -> str:
    return addresses.normalised(text(value))


def credential(value: Any) -> str:
    """A key that can be sent in a header."""
    key = text(value)
    secrets.check_upstream_key(key)
    return key


def model_ids(value: Any) -> tuple[str, ...]:
    """The ids in their order, blanks dropped, each once."""
    if not isinstance(value, list):
        raise ValueError(f'a list such as ["meta-llama/Llama-3.1-8B"] is needed, not {kind(value)}')
    return tuple(dict.fromkeys(filter(None, map(text, value))))


def one_of(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"{' or '.join(choices)} is needed")
        return value

    return read


def passthrough(value: Any) -> str:
    """YAML takes an unquoted `off` for false; it is meant as it stands."""
    return one_of("off", "inference", "control")("off" if value is False else value)


def boolean(value: Any) -> bool:
    if isinstance(value, str):
        value = _TRUTH.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ValueError("true or false is needed")
    return value


def seconds(value: Any) -> float:
    return _within(value, LEAST_SECONDS, MOST_SECONDS, "number of seconds")


def weight(value: Any) -> float:
    return _within(value, LEAST_WEIGHT, MOST_WEIGHT, "number")


def max_concurrency(value: Any) -> int:
    """A whole number. No limit is said by saying nothing."""
    number = _within(value, LEAST_CONCURRENCY, MOST_CONCURRENCY, "whole number")
    if not number.is_integer():
        raise ValueError("a whole number is needed")
    return int(number)


def _within(value: Any, least: float, most: float, what: str) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not least <= number <= most:
        raise ValueError(f"a {what} from {least} to {most} is needed")
    return number
