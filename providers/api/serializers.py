"""Rows as JSON and back. Secrets go in, and come out only from what makes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from providers import addresses, catalog, edits, health_rows, secrets
from providers.health import Standing
from providers.health_rows import Seen
from providers.key_edits import MOST_KEYS
from providers.models import ApiKey, Provider
from providers.models.providers import SLUG
from providers.names import MOST_NAME_CHARACTERS

MOST_NAMED = 10
YEAR_SECONDS = 31_536_000
KEY_STATES = ["active", "rotated", "expired", "retired", "revoked"]


class Strict(serializers.Serializer[Any]):
    """Refuses members that it does not take, so that a misspelt one is not silently without effect."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            taken = {name for name, field in self.fields.items() if not field.read_only}
            others = sorted(str(name)[:80] for name in set(data) - taken)[:MOST_NAMED]
            if others:
                raise serializers.ValidationError(
                    {name: ["This member cannot be set."] for name in others}
                )
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A JSON number. The framework would take the text "nan", which no bound refuses."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class Count(serializers.IntegerField):
    """A whole JSON number, and no text that looks like one."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class HealthSerializer(serializers.Serializer[Any]):
    """How it is and why, and what discovery last found. `models` are the ids as the server knows
    them."""

    state = serializers.ChoiceField(
        choices=[(standing.value, standing.name) for standing in Standing], read_only=True
    )
    reason = serializers.CharField(read_only=True)
    since = serializers.DateTimeField(
        allow_null=True, read_only=True, help_text="null: nobody noted it."
    )
    running = serializers.IntegerField(
        allow_null=True,
        read_only=True,
        help_text="Calls it works on, by its own metrics. null: not known.",
    )
    waiting = serializers.IntegerField(
        allow_null=True, read_only=True, help_text="Calls it has queued. null: as for running."
    )
    models = serializers.ListField(child=serializers.CharField(), read_only=True)
    routes = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        read_only=True,
        help_text="The paths that it takes a POST on. null: it does not say.",
    )
    asked = serializers.DateTimeField(allow_null=True, read_only=True)
    answered = serializers.DateTimeField(allow_null=True, read_only=True)
    error = serializers.CharField(read_only=True)


class ProviderSerializer(Strict, serializers.ModelSerializer[Provider]):
    """A provider. The model's own validation decides; the fields' only comes before it."""

    api_key = serializers.CharField(
        write_only=True,
        required=False,
        allow_null=True,
        allow_blank=True,
        trim_whitespace=False,
        max_length=secrets.MOST_UPSTREAM_KEY_CHARACTERS,
        validators=[edits.check_key],
        help_text="What vLLM asks for. Left out: kept, unless `base_url` gets another scheme, host or port. null or empty: removed.",
    )
    has_api_key = serializers.SerializerMethodField()
    model_ids = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False), required=False
    )
    weight = Number(required=False)
    max_concurrency = Count(
        required=False,
        allow_null=True,
        help_text="Most calls at once, shared out among the processes, rounded up. null: no limit.",
    )
    connect_seconds = Number(required=False)
    first_byte_seconds = Number(required=False)
    idle_seconds = Number(required=False)
    in_flight = serializers.SerializerMethodField(
        help_text="Calls that run on it, of all of Aurora's processes."
    )
    health = serializers.SerializerMethodField()

    class Meta:
        model = Provider
        fields = (
            "name",
            "type",
            "base_url",
            "api_key",
            "has_api_key",
            *edits.SETTINGS,
            "source",
            "detached",
            "unnamed",
            "created",
            "in_flight",
            "health",
        )
        read_only_fields = ("source", "detached", "unnamed", "created")

    def get_has_api_key(self, provider: Provider) -> bool:
        return bool(provider.sealed_api_key)

    @extend_schema_field(HealthSerializer)
    def get_health(self, provider: Provider) -> dict[str, Any]:
        found = getattr(provider, "discovery", None)
        models = [card["id"] for card in catalog.discovered_cards(provider)]
        seen = self._seen(provider)
        now = {
            "state": seen.condition.standing.value,
            "reason": seen.condition.reason,
            "since": seen.condition.since,
            "running": seen.running,
            "waiting": seen.waiting,
        }
        asked = {**vars(found), "models": models} if found else _NEVER_ASKED
        return HealthSerializer({**asked, **now}).data

    def get_in_flight(self, provider: Provider) -> int:
        return self._seen(provider).in_flight

    def _seen(self, provider: Provider) -> Seen:
        """Without a query: what the processes report is read once for an answer, by the view."""
        return health_rows.seen_by(provider, self.context["view"].live)

    def validate_base_url(self, value: str) -> str:
        return addresses.normalised(value)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Put the values on the row, which nobody else holds, and let it judge itself."""
        row = self.instance or Provider()
        for name in attrs.keys() - {"api_key"}:
            setattr(row, name, attrs[name])
        if "api_key" in attrs:
            edits.put_key(row, attrs["api_key"] or "")
        row.full_clean()
        return {"row": row}

    def create(self, validated_data: dict[str, Any]) -> Provider:
        row: Provider = validated_data["row"]
        row.save()
        return row

    def update(self, instance: Provider, validated_data: dict[str, Any]) -> Provider:
        edits.save(instance)
        return instance


class ChangedProviderSerializer(ProviderSerializer):
    """A provider after a change, with what clients miss from then on."""

    warnings = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta(ProviderSerializer.Meta):
        fields = (*ProviderSerializer.Meta.fields, "warnings")  # type: ignore[assignment] # longer


class CloneSerializer(Strict):
    """What a copy is called."""

    name = serializers.CharField(
        required=False,
        max_length=MOST_NAME_CHARACTERS,
        validators=[
            RegexValidator(SLUG, "Lower-case letters, digits, and . _ - between them."),
            UniqueValidator(Provider.objects.all()),
        ],
        help_text="Left out: the provider's own with -copy behind it, or the next that is free.",
    )


class ConsequencesSerializer(serializers.Serializer[Any]):
    """What clients would miss without a server: models that no other takes calls for, aliases that
    name it or would be left without a server, and the same in sentences."""

    models = serializers.ListField(child=serializers.CharField(), read_only=True)
    aliases = serializers.ListField(child=serializers.CharField(), read_only=True)
    warnings = serializers.ListField(child=serializers.CharField(), read_only=True)


_NEVER_ASKED: dict[str, Any] = {
    "models": [],
    "routes": None,
    "asked": None,
    "answered": None,
    "error": "",
}


class OutcomeSerializer(serializers.Serializer[Any]):
    """What came of asking a server, in words, and the ids of its models."""

    ok = serializers.BooleanField(read_only=True)
    text = serializers.CharField(read_only=True)
    models = serializers.ListField(child=serializers.CharField(), read_only=True)


class ApiKeySerializer(Strict, serializers.ModelSerializer[ApiKey]):
    """A key without its secret."""

    kind = serializers.ChoiceField(
        choices=ApiKey.Kind.choices,
        required=False,
        help_text="client: calls on /v1 and /p. manager: this API. master: both. A new key is a"
        " client key unless this says otherwise.",
    )
    state = serializers.ChoiceField(choices=KEY_STATES, read_only=True)

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = (
            "id",
            "name",
            "kind",
            "hint",
            "state",
            "expires",
            "created",
            "last_used",
            "source",
            "unnamed",
            "successor",
            "issued_by",
        )
        read_only_fields = (
            "hint",
            "created",
            "last_used",
            "source",
            "unnamed",
            "successor",
            "issued_by",
        )

    def validate_expires(self, value: datetime | None) -> datetime | None:
        edits.check_is_to_come(value)
        return value


class IssuedKeySerializer(ApiKeySerializer):
    """A new key with its secret, which is shown this once."""

    secret = serializers.CharField(read_only=True)

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "secret")


class RotatedKeySerializer(IssuedKeySerializer):
    """A successor with its secret, which is shown this once."""

    keeps_stored_responses = serializers.BooleanField(
        read_only=True,
        help_text="Whether it reads the responses and conversations that the old key stored.",
    )

    class Meta(IssuedKeySerializer.Meta):
        fields = (*IssuedKeySerializer.Meta.fields, "keeps_stored_responses")


class OverlapSerializer(Strict):
    """How long a key goes on beside its successor."""

    overlap_seconds = serializers.IntegerField(
        min_value=0,
        max_value=YEAR_SECONDS,
        help_text="How long the old key goes on, or to its own earlier expiry.",
    )

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.validated_data["overlap_seconds"])


class RotateSerializer(OverlapSerializer):
    """How a key is rotated."""

    expires = serializers.DateTimeField(
        required=False,
        allow_null=True,
        validators=[edits.check_is_to_come],
        help_text="When the new key expires; null: never. Left out: it lives as long as the old key.",
    )

    def rotation(self) -> dict[str, Any]:
        """What `ApiKey.rotate` takes."""
        sent = self.validated_data
        return {"overlap": self.overlap, **{n: sent[n] for n in ("expires",) if n in sent}}


class ChosenKeysSerializer(Strict):
    """Keys by their ids, each once."""

    ids = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=MOST_KEYS, help_text="Each once."
    )

    def validate_ids(self, value: list[UUID]) -> list[UUID]:
        if len(set(value)) < len(value):
            raise serializers.ValidationError("An id stands here twice.")
        return value


class RotateManySerializer(ChosenKeysSerializer, OverlapSerializer):
    """Which keys are rotated. Each successor lives as long as its predecessor was to."""
