"""Attempts to log in, counted so that guessing is slow."""

from __future__ import annotations

from django.db import models


class LoginAttempts(models.Model):
    """What was tried of late under one name, from one address, or in one known browser."""

    key = models.CharField(
        max_length=64, primary_key=True, help_text="A digest: a name may be secret."
    )
    failures = models.PositiveIntegerField(default=0)
    last = models.DateTimeField(db_index=True)
    until = models.DateTimeField(help_text="Until then nobody may try again.")

    def __str__(self) -> str:
        return f"{self.failures} failed"
