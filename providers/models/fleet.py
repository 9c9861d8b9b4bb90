"""How the servers are, and who looks: written by the prober and by each process, never by forms.

None of it counts as a change of what exists: the revision does not grow with it.
"""

from __future__ import annotations

import uuid

from django.db import models

from providers.models.providers import Provider
from providers.observed import State


class Health(models.Model):
    """What the last probe of a provider's server found."""

    provider = models.OneToOneField(
        Provider, models.CASCADE, primary_key=True, related_name="probed"
    )
    state = models.CharField(max_length=16, default=State.UNKNOWN.value)
    reason = models.CharField(max_length=500, blank=True, default="")
    since = models.DateTimeField(help_text="When it came into this state.")
    checked = models.DateTimeField(help_text="When it was last probed.")
    running = models.PositiveIntegerField(default=0, help_text="Calls it works on, by its metrics.")
    waiting = models.PositiveIntegerField(default=0, help_text="Calls it has queued.")
    load_known = models.BooleanField(
        default=False, db_default=False, help_text="Whether its metrics told these two numbers."
    )
    recovered = models.PositiveIntegerField(
        default=0, help_text="How often it was found well after it was not."
    )

    class Meta:
        verbose_name_plural = "health"

    def __str__(self) -> str:
        return f"{self.provider_id}: {self.state}"


class Process(models.Model):
    """A running process of the installation, and what it sees of the servers. Gone once it has
    not written for a while."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    written = models.DateTimeField()
    reports = models.JSONField(
        default=dict, help_text="By provider's id: in_flight, waiting, state, reason."
    )
    usage = models.JSONField(default=dict, help_text="Where its calls went of late.")

    class Meta:
        verbose_name_plural = "processes"

    def __str__(self) -> str:
        return str(self.id)


class Plan(models.Model):
    """What one process of the installation has worked out for all."""

    name = models.CharField(max_length=32, primary_key=True)
    written = models.DateTimeField()
    said = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name


class Lease(models.Model):
    """A task that one process of the installation does, and until when it is that one's."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = models.UUIDField()
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
