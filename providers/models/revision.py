"""What every process watches."""

from __future__ import annotations

from django.db import models


class Revision(models.Model):
    """One row that counts the changes to what the snapshot is made of; every process watches it."""

    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)
