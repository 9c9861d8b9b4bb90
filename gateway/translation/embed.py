"""Cohere's embed: its clients always send an `input_type`, which few models define. Pure."""

from __future__ import annotations

from dataclasses import replace

from gateway.calls import Call
from gateway.refusals import Reworded

NAME = "input_type"
_UNSUPPORTED = "Unsupported input_type "
_UNDEFINED = "This model does not define any input_type task instructions."


def is_undefined(refusal: Reworded) -> bool:
    """Whether the server refused an `input_type` because its model knows none at all.

    Nothing was executed then, and the type would make no difference. A model that knows other
    types is another matter: its words name them, and they reach the caller.
    """
    said = str(refusal)
    return refusal.status == 400 and said.startswith(_UNSUPPORTED) and said.endswith(_UNDEFINED)


def without_input_type(call: Call) -> Call:
    kept = {name: value for name, value in call.members.items() if name != NAME}
    return replace(call, members=kept)
