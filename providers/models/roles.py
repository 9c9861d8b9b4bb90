"""Ready-made roles of the admin: which group each is, and what it was given."""

from __future__ import annotations

from django.db import models


class Role(models.Model):
    """What Aurora has done for a role so far, so that it is never done twice."""

    name = models.CharField(max_length=20, primary_key=True)
    group = models.OneToOneField(
        "auth.Group",
        models.SET_NULL,
        null=True,
        editable=False,
        help_text="Null: somebody has deleted it, and it stays deleted.",
    )
    granted = models.JSONField(
        default=list,
        help_text="Each permission that it was given once, such as providers.view_alias.",
    )

    def __str__(self) -> str:
        return self.name
