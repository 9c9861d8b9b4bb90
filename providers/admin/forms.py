"""The forms of the admin. A stored secret never comes back through them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.text import capfirst
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminPasswordWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from providers import addresses, edits, secrets
from providers.models import ApiKey, Provider

KEEP = "•" * 12
OVERLAPS = (
    (0, "None: the old key stops at once"),
    (3600, "1 hour"),
    (24 * 3600, "1 day"),
    (7 * 24 * 3600, "7 days"),
    (30 * 24 * 3600, "30 days"),
)


class Lines(forms.CharField):
    """A list of texts, one a line. Blank lines do not count."""

    widget = UnfoldAdminTextareaWidget

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        lines = (line.strip() for line in super().clean(value).splitlines())
        return [line for line in lines if line]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.clean(data or "")


class ProviderForm(forms.ModelForm):
    """A provider. The key's field is write-only and named apart from the property that opens it,
    so that nothing that renders a form by its fields' names can come upon the stored key."""

    new_api_key = forms.CharField(
        label="API key",
        required=False,
        max_length=secrets.MOST_UPSTREAM_KEY_CHARACTERS,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="What vLLM was started with as --api-key. Empty: none is sent.",
    )
    remove_api_key = forms.BooleanField(
        label="Remove the stored key",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="From then on calls go to this server without a key.",
    )
    model_ids = Lines(
        label="Model ids",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="One a line, as the server knows them. Needed for fallback and allowlist.",
    )

    class Meta:
        model = Provider
        fields = (
            "name",
            "base_url",
            "enabled",
            "models_mode",
            "model_ids",
            "passthrough",
            "translation",
            "weight",
            "max_concurrency",
            "draining",
            "repeats_after_timeout",
            "connect_seconds",
            "first_byte_seconds",
            "idle_seconds",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.sealed_api_key and "new_api_key" in self.fields:
            field = self.fields["new_api_key"]
            field.widget.attrs["placeholder"] = KEEP
            field.help_text = (
                "A key is stored and is never shown. Empty keeps it; typing replaces it."
            )

    def clean_base_url(self) -> str:
        try:
            return addresses.normalised(self.cleaned_data["base_url"])
        except addresses.BadAddress as error:
            raise ValidationError(capfirst(str(error))) from error

    def clean_new_api_key(self) -> str:
        typed: str = self.cleaned_data["new_api_key"]
        edits.check_key(typed)
        return typed

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("new_api_key") and cleaned.get("remove_api_key"):
            self.add_error("remove_api_key", "Either type a key or remove the stored one.")
        return cleaned

    def save(self, commit: bool = True) -> Provider:
        self.apply_key()
        return super().save(commit)

    def apply_key(self) -> None:
        """Put the typed key on the instance; the sealed value stays as it is where nothing changes."""
        typed = self.cleaned_data.get("new_api_key", "")
        if self.cleaned_data.get("remove_api_key"):
            self.instance.api_key = ""
        elif typed:
            edits.put_key(self.instance, typed)


def least_of(column: models.Field[Any, Any]) -> dict[str, Any]:
    """What a whole number's form field is told, so that it begins where its column does. Django has
    those of positive numbers begin with 0, and would say so to who typed -1 where 1 is the least."""
    if not isinstance(column, models.IntegerField):
        return {}
    bounds = [each for each in column.validators if isinstance(each, MinValueValidator)]
    return {"min_value": max(each.limit_value for each in bounds)} if bounds else {}


class ExpiryField(forms.DateTimeField):
    """A moment in UTC, in the browser's own date and time picker."""

    widget = forms.DateTimeInput(
        format="%Y-%m-%dT%H:%M",
        attrs={"type": "datetime-local", "class": " ".join(INPUT_CLASSES)},
    )

    def __init__(self, **kwargs: Any) -> None:
        help_text = "In UTC. Empty: the key never expires."
        super().__init__(required=False, help_text=help_text, **kwargs)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """To the minute: the picker knows no seconds, and what is stored has them."""
        try:
            return _minute(initial) != _minute(self.to_python(data))
        except ValidationError:
            return True


def _minute(value: datetime | None) -> datetime | None:
    return value.replace(second=0, microsecond=0) if value else None


class IssueForm(forms.Form):
    """A new key. Its id is chosen with the page, so that a page sent twice issues one key."""

    id = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(
        max_length=80,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Who uses this key, and for what.",
    )
    expires = ExpiryField(validators=[edits.check_is_to_come])


class ApiKeyForm(forms.ModelForm):
    """What may change of a key: what it is called, and until when it holds."""

    expires = ExpiryField()

    class Meta:
        model = ApiKey
        fields = ("name", "expires")

    def clean_expires(self) -> datetime | None:
        value: datetime | None = self.cleaned_data["expires"]
        if "expires" not in self.changed_data:
            return self.instance.expires
        edits.check_is_to_come(value)
        return value


class RotateForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label="How long does the old key go on?",
        choices=OVERLAPS,
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        initial=24 * 3600,
        widget=UnfoldAdminRadioSelectWidget,
        help_text="Long enough to give the new key to everyone who uses the old one.",
    )
