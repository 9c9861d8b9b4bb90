"""Who makes rows."""

from __future__ import annotations

from django.db import models


class Source(models.TextChoices):
    """Who made a row, and so whom it follows at the next start."""

    ENV = "env", "environment"
    YAML = "yaml", "YAML file"
    ADMIN = "admin", "admin"
