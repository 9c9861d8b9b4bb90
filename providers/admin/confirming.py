"""A change with consequences: the page that asks carries the form, and its answer is known again."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, QueryDict

from providers.consequences import Consequences

CONFIRMED = "confirmed"
LEFT_OUT = {"csrfmiddlewaretoken", "new_api_key", CONFIRMED}
"""Of what a form sent: the page has a token of its own, and no secret stands in it."""


def is_confirmed(request: HttpRequest, lost: Consequences) -> bool:
    """Whether there is nothing to confirm, or just these consequences were confirmed."""
    return not lost.sentences or request.POST.get(CONFIRMED) == lost.digest


def carried(sent: object) -> list[tuple[str, str]]:
    """What a form sent, as the hidden fields of the page that asks."""
    fields = cast(QueryDict, sent)
    return [
        (name, str(value))
        for name, values in fields.lists()
        if name not in LEFT_OUT
        for value in values
    ]
