"""Aliases: public names for models, whoever serves them."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from providers.patterns import MOST_WILDCARDS, WILDCARD
from providers.snapshot import MOST_ID_CHARACTERS, is_model_id

MOST_TIERS = 100
LEAST_WEIGHT, MOST_WEIGHT = 0.01, 1000.0


class Policy(models.TextChoices):
    """How a server is chosen within a tier; docs/routing.md describes each."""

    AFFINITY = "affinity", "affinity: a session stays with a server, unless that has too much"
    LEAST_LOADED = "least_loaded", "least loaded: where the fewest calls are for its weight"
    ROUND_ROBIN = "round_robin", "round robin: in turns, by weight"
    RANDOM = "random", "random: by weight"


class ResponseModel(models.TextChoices):
    """What an answer says as its `model`."""

    ANSWERED = "answered", "what answered: as the vLLM server says it"
    ASKED = "asked", "what the client asked for: this alias"


def check_model_id(value: Any) -> None:
    if not is_model_id(value):
        raise ValidationError(
            f"1 to {MOST_ID_CHARACTERS} printable characters, without spaces around them."
        )


def weight_field(help_text: str) -> models.FloatField:
    bounds = [MinValueValidator(LEAST_WEIGHT), MaxValueValidator(MOST_WEIGHT)]
    return models.FloatField(default=1.0, validators=bounds, help_text=help_text)


class Alias(models.Model):
    """A public name that leads to tiers of targets: the first tier, and the next where nobody of
    the first can take a call. It may stand before a model or public id of the same name. A `*` in
    it makes it a pattern: for all names that it matches and that mean nothing else."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(
        max_length=MOST_ID_CHARACTERS,
        unique=True,
        validators=[check_model_id],
        help_text="What clients put in <code>model</code>.",
    )
    enabled = models.BooleanField(default=True, help_text="Off: as if it were not there.")
    policy = models.CharField(
        max_length=16,
        choices=Policy.choices,
        blank=True,
        default="",
        help_text="How a server is chosen within a tier. Empty: as AURORA_POOL_POLICY says.",
    )
    response_model = models.CharField(
        max_length=16,
        choices=ResponseModel.choices,
        default=ResponseModel.ANSWERED,
        help_text="What an answer says as its model.",
    )
    resumes = models.BooleanField(
        "finish the sentence",
        default=False,
        help_text="When a server dies within the stream of a plain text chat or completion,"
        " another goes on from the text already sent.",
    )
    queue_calls = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(100_000)],
        help_text="Most calls that wait, in each tier, for a server that has reached its"
        " max concurrency; with 0 none does. Empty: as AURORA_QUEUE_CALLS says.",
    )
    queue_seconds = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(3600)],
        help_text="Longest such wait. Empty: as AURORA_QUEUE_SECONDS says.",
    )
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "aliases"
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=Q(policy__in=["", *Policy.values]), name="alias_policy_is_known"
            ),
            models.CheckConstraint(
                condition=Q(response_model__in=ResponseModel.values),
                name="alias_response_model_is_known",
            ),
            models.CheckConstraint(
                condition=Q(queue_seconds=None) | Q(queue_seconds__gte=0),
                name="alias_queue_seconds_are_not_negative",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.name.count(WILDCARD) > MOST_WILDCARDS:
            text = f"A name holds {WILDCARD} at most {MOST_WILDCARDS} times."
            raise ValidationError({"name": text})


class AliasTarget(models.Model):
    """One model of one provider, or of all that serve it, or what another alias leads to.

    A provider is named, not linked: one that goes with its environment variable and comes back
    is the same to clients.
    """

    alias = models.ForeignKey(Alias, models.CASCADE, related_name="targets")
    tier = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_TIERS)],
        help_text="1 is tried first.",
    )
    provider = models.CharField(
        max_length=63,
        blank=True,
        default="",
        help_text="Empty: every provider that serves the model, or the alias of that name.",
    )
    model = models.CharField(
        max_length=MOST_ID_CHARACTERS,
        validators=[check_model_id],
        help_text="A model's id as its server knows it, or another alias.",
    )
    weight = weight_field("Its share of the tier's calls beside the other targets.")

    class Meta:
        ordering = ("tier", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("alias", "tier", "provider", "model"), name="alias_target_is_there_once"
            ),
            models.CheckConstraint(condition=Q(tier__gte=1), name="alias_target_tier_is_positive"),
            models.CheckConstraint(
                condition=Q(weight__gt=0), name="alias_target_weight_is_positive"
            ),
        )

    def __str__(self) -> str:
        return f"{self.named} of {self.alias}"

    @property
    def named(self) -> str:
        """Where it leads, as an operator writes it."""
        return f"{self.provider}/{self.model}" if self.provider else self.model
