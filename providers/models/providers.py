"""Providers, and what was discovered of them."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from providers import addresses, metadata, secrets
from providers.models.aliases import weight_field
from providers.models.sources import Source
from providers.snapshot import is_model_id

SLUG = r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?\Z"


class ModelsMode(models.TextChoices):
    """How the list of models and what the server says make the models that are served."""

    DISCOVER = "discover", "discover: what the server says"
    FALLBACK = "fallback", "fallback: the list, while the server says nothing"
    ALLOWLIST = "allowlist", "allowlist: exactly the list"


class Passthrough(models.TextChoices):
    """What `/p/…` lets through to a provider; docs/passthrough.md has the paths of each class."""

    OFF = "off", "off: nothing"
    INFERENCE = "inference", "inference: model calls; server state for master keys"
    CONTROL = "control", "control: also sleep, adapters, cache resets, for master keys"


class Translation(models.TextChoices):
    """How calls of dialects beside OpenAI's chat completions reach a server."""

    AUTO = "auto", "auto: native where the server speaks it"
    ALWAYS = "always", "always: by way of chat completions"


def check_base_url(value: str) -> None:
    try:
        address = addresses.parse(value)
    except addresses.BadAddress as error:
        raise ValidationError(str(error)) from error
    if metadata.is_refused(urlsplit(address.server_root).hostname or ""):
        raise ValidationError(f"{metadata.REFUSAL[:1].upper()}{metadata.REFUSAL[1:]}.")


def check_model_ids(value: Any) -> None:
    if not (isinstance(value, list) and all(is_model_id(model) for model in value)):
        raise ValidationError('A list of model ids is needed, such as ["meta-llama/Llama-3.1-8B"].')
    if len(set(value)) != len(value):
        raise ValidationError("A model id stands in the list twice.")


def _seconds(default: float, help_text: str) -> models.FloatField:
    bounds = [MinValueValidator(0.1), MaxValueValidator(86_400)]
    return models.FloatField(default=default, validators=bounds, help_text=help_text)


class Provider(models.Model):
    """A vLLM server. Its API key is kept sealed: set and read it by `api_key`, never the column."""

    class Type(models.TextChoices):
        VLLM = "vllm", "vLLM"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(
        max_length=63,
        unique=True,
        validators=[RegexValidator(SLUG, "Lower-case letters, digits, and . _ - between them.")],
        help_text="Stands before the slash in a model's public id: <i>name</i>/model.",
    )
    type = models.CharField(max_length=16, choices=Type.choices, default=Type.VLLM)
    base_url = models.CharField(
        "base URL",
        max_length=500,
        validators=[check_base_url],
        help_text="Such as http://gpu-1:8000/v1; /v1 and a trailing slash may be left out.",
    )
    sealed_api_key = models.TextField(blank=True, default="", editable=False)
    enabled = models.BooleanField(default=True, help_text="Off: no call goes to this server.")
    models_mode = models.CharField(
        max_length=16,
        choices=ModelsMode.choices,
        default=ModelsMode.DISCOVER,
        help_text="Which models calls may name: those the server lists, or those listed below.",
    )
    model_ids = models.JSONField(
        default=list,
        blank=True,
        validators=[check_model_ids],
        help_text='Model ids as the server knows them, for "fallback" and "allowlist".',
    )
    passthrough = models.CharField(
        max_length=16, choices=Passthrough.choices, default=Passthrough.INFERENCE
    )
    translation = models.CharField(
        max_length=16,
        choices=Translation.choices,
        default=Translation.AUTO,
        help_text="How calls to /v1/responses and /v1/messages reach this server.",
    )
    weight = weight_field("Its share of the load beside other servers of the same model.")
    max_concurrency = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="Most calls at once, shared out among the processes, rounded up; others wait. Empty: no limit.",
    )
    draining = models.BooleanField(
        default=False,
        help_text="On: it gets no new call; those that run are finished.",
    )
    repeats_after_timeout = models.BooleanField(
        default=False,
        help_text="On: a call that it left unanswered for too long is sent to another server,"
        " though it may still run here.",
    )
    connect_seconds = _seconds(5.0, "Longest wait for a connection.")
    first_byte_seconds = _seconds(600.0, "Longest wait for the first byte of an answer.")
    idle_seconds = _seconds(300.0, "Longest silence within an answer. The whole has no limit.")
    source = models.CharField(
        max_length=8, choices=Source.choices, default=Source.ADMIN, editable=False
    )
    detached = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Since when an edit in the admin keeps this row from following its source.",
    )
    field_sources = models.JSONField(
        default=dict,
        db_default={},
        editable=False,
        help_text="Which source, env or yaml, said each field when it last named this provider.",
    )
    unnamed = models.JSONField(
        default=dict,
        db_default={},
        editable=False,
        help_text="Each source, env or yaml, that no longer names this provider, and since when.",
    )
    seeded_as = models.CharField(
        max_length=63,
        default="",
        db_default="",
        blank=True,
        editable=False,
        help_text="What the source that made it calls it, whatever its name is by now.",
    )
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(condition=Q(name__regex=SLUG), name="provider_name_is_a_slug"),
            models.CheckConstraint(condition=Q(type__in=["vllm"]), name="provider_type_is_known"),
            models.CheckConstraint(
                condition=Q(base_url__startswith="http://") | Q(base_url__startswith="https://"),
                name="provider_base_url_is_http",
            ),
            models.CheckConstraint(
                condition=Q(models_mode__in=ModelsMode.values), name="provider_models_mode_is_known"
            ),
            models.CheckConstraint(
                condition=Q(models_mode=ModelsMode.DISCOVER) | ~Q(model_ids=[]),
                name="provider_models_are_listed_where_needed",
            ),
            models.CheckConstraint(
                condition=Q(passthrough__in=Passthrough.values),
                name="provider_passthrough_is_known",
            ),
            models.CheckConstraint(
                condition=Q(translation__in=Translation.values),
                name="provider_translation_is_known",
            ),
            models.CheckConstraint(
                condition=Q(connect_seconds__gt=0, first_byte_seconds__gt=0, idle_seconds__gt=0),
                name="provider_seconds_are_positive",
            ),
            models.CheckConstraint(condition=Q(weight__gt=0), name="provider_weight_is_positive"),
            models.CheckConstraint(
                condition=Q(max_concurrency=None) | Q(max_concurrency__gt=0),
                name="provider_max_concurrency_is_positive",
            ),
            models.CheckConstraint(
                condition=Q(source__in=Source.values), name="provider_source_is_known"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.base_url = addresses.normalised(self.base_url)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        if self.models_mode != ModelsMode.DISCOVER and not self.model_ids:
            raise ValidationError(
                {"model_ids": f'"{self.models_mode}" needs at least one model id.'}
            )

    @property
    def takes_calls(self) -> bool:
        """Whether new calls may go to it."""
        return self.enabled and not self.draining

    @property
    def is_named(self) -> bool:
        """Whether the environment or the YAML file named it at the latest start."""
        before = {*self.field_sources.values()} or {self.source}
        return self.source != Source.ADMIN and not before <= self.unnamed.keys()

    @property
    def seeded_name(self) -> str:
        """What its source calls it; "" where it has none. A row that the release before has made
        has its name."""
        return "" if self.source == Source.ADMIN else self.seeded_as or self.name

    @property
    def api_key(self) -> str:
        """The key that vLLM asks for, or "". Raises secrets.Unopenable if the keyring is another."""
        return secrets.unseal(self.sealed_api_key, self._key_place) if self.sealed_api_key else ""

    @api_key.setter
    def api_key(self, value: str) -> None:
        self.sealed_api_key = secrets.seal(value, self._key_place) if value else ""

    @property
    def _key_place(self) -> secrets.Place:
        return secrets.Place("provider", str(self.pk), "api_key")


class Discovery(models.Model):
    """What the last question to a provider brought. Written by discovery alone, never by forms."""

    provider = models.OneToOneField(Provider, models.CASCADE, primary_key=True)
    cards = models.JSONField(
        default=list, help_text="The server's own model cards, as it sent them."
    )
    routes = models.JSONField(
        null=True, help_text="The paths it takes a POST on, sorted. Null: the server does not say."
    )
    asked = models.DateTimeField(null=True, help_text="When it was last asked.")
    answered = models.DateTimeField(null=True, help_text="When it last answered well.")
    error = models.CharField(
        max_length=500, blank=True, default="", help_text="Empty: all is well."
    )

    class Meta:
        verbose_name_plural = "discoveries"

    def __str__(self) -> str:
        return f"{self.provider_id}: {self.error or f'{len(self.cards)} models'}"
