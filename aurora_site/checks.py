"""Django's checks, which most commands of manage.py print before they begin: `serve` logs the same."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks


def register() -> None:
    checks.register(environment)


def environment(**_: Any) -> list[checks.CheckMessage]:
    """What is odd about the variables and yet stops nothing."""
    return [
        checks.CheckMessage(notice.level, notice.text, id=notice.id)
        for notice in settings.ENVIRONMENT.notices
    ]
