"""Aliases as JSON and back, with their targets in a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers

from providers import alias_edits
from providers.alias_flags import Seen
from providers.aliases import MOST_TARGETS
from providers.api.serializers import Count, Number, Strict
from providers.models import Alias, AliasTarget


class TargetSerializer(Strict, serializers.ModelSerializer[AliasTarget]):
    """A model of one provider, or without `provider` of all that serve it, or another alias."""

    tier = Count(required=False, help_text="1 is tried first.")
    weight = Number(required=False)

    class Meta:
        model = AliasTarget
        fields = ("tier", "provider", "model", "weight")
        extra_kwargs = {"model": {"trim_whitespace": False}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        AliasTarget(**attrs).clean_fields(exclude=["alias"])
        return attrs


class AliasSerializer(Strict, serializers.ModelSerializer[Alias]):
    """An alias. The model's own validation decides; the fields' only comes before it."""

    targets = TargetSerializer(
        many=True,
        max_length=MOST_TARGETS,  # type: ignore[call-arg]  # of the list of them
        help_text="In any order: `tier` says which come first.",
    )
    queue_calls = Count(
        required=False,
        allow_null=True,
        help_text="Most calls that wait in each tier; null: as AURORA_QUEUE_CALLS says.",
    )
    queue_seconds = Number(required=False, allow_null=True)
    flags = serializers.SerializerMethodField(
        help_text="What to know of it: that nothing serves a target, or that it stands before a model."
    )

    class Meta:
        model = Alias
        fields = (
            "name",
            "enabled",
            "targets",
            "policy",
            "response_model",
            "resumes",
            "queue_calls",
            "queue_seconds",
            "flags",
            "created",
        )
        read_only_fields = ("created",)
        extra_kwargs = {
            "name": {
                "trim_whitespace": False,
                "help_text": "What clients put in `model`. A `*` stands for any characters.",
            }
        }

    def get_flags(self, alias: Alias) -> list[str]:
        seen: Seen = self.context["seen"]()
        return seen.flags(alias)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Put the values on the row, which nobody else holds, and let it judge itself."""
        row = self.instance or Alias()
        sent = attrs.pop("targets", None)
        for name, value in self._values(attrs).items():
            setattr(row, name, value)
        row.full_clean()
        targets = None if sent is None else [AliasTarget(**each) for each in sent]
        try:
            alias_edits.check(row, list(row.targets.all()) if targets is None else targets)
        except ValidationError as error:
            raise serializers.ValidationError({"targets": error.messages}) from None
        return {"row": row, "targets": targets}

    def _values(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        """What is sent; where it replaces the whole, what is left out is as in a new alias."""
        if self.partial:
            return dict(attrs)
        fresh = Alias()
        settable = {name for name, field in self.fields.items() if not field.read_only}
        unsent = settable - {*attrs, "targets"}
        return {name: getattr(fresh, name) for name in unsent} | dict(attrs)

    def create(self, validated_data: dict[str, Any]) -> Alias:
        return self._save(validated_data)

    def update(self, instance: Alias, validated_data: dict[str, Any]) -> Alias:
        return self._save(validated_data)

    def _save(self, validated_data: dict[str, Any]) -> Alias:
        row: Alias = validated_data["row"]
        alias_edits.save(row, validated_data["targets"])
        return row
