"""The forms of callers' keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextInputWidget,
)

from providers import edits
from providers.key_kinds import CLIENT
from providers.models import ApiKey

OVERLAPS = (
    (0, "None: the old key stops at once"),
    (3600, "1 hour"),
    (24 * 3600, "1 day"),
    (7 * 24 * 3600, "7 days"),
    (30 * 24 * 3600, "30 days"),
)


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


KIND_HELP = (
    "A client key is for an application, a manager key for a program that manages Aurora; a master"
    " key can do both."
)


def kind_choices(kinds: Iterable[str]) -> list[tuple[str, str]]:
    """Those of the kinds that somebody may give to a key."""
    held = set(kinds)
    return [(value, str(label)) for value, label in ApiKey.Kind.choices if value in held]


class IssueForm(forms.Form):
    """A new key. Its id is chosen with the page, so that a page sent twice issues one key."""

    id = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(
        max_length=80,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Who uses this key, and for what.",
    )
    kind = forms.ChoiceField(
        required=False, widget=UnfoldAdminRadioSelectWidget, help_text=KIND_HELP
    )
    expires = ExpiryField(validators=[edits.check_is_to_come])

    def __init__(self, data: QueryDict | None = None, *, kinds: Iterable[str], **more: Any) -> None:
        super().__init__(data, initial={"kind": CLIENT, **more.pop("initial", {})}, **more)
        cast(forms.ChoiceField, self.fields["kind"]).choices = kind_choices(kinds)

    def clean_kind(self) -> str:
        """A client key where nothing is chosen."""
        return self.cleaned_data["kind"] or CLIENT


class ApiKeyForm(forms.ModelForm):
    """What may change of a key: what it is called, what it is for, and until when it holds."""

    expires = ExpiryField()

    class Meta:
        model = ApiKey
        fields = ("name", "kind", "expires")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:  # not where the page is for looking alone
            self.fields["kind"].required = False

    def clean_kind(self) -> str:
        """What is not sent at all stays."""
        return self.cleaned_data["kind"] or self.instance.kind

    def clean_expires(self) -> datetime | None:
        value: datetime | None = self.cleaned_data["expires"]
        if "expires" not in self.changed_data:
            return self.instance.expires
        edits.check_is_to_come(value)
        return value


class OverlapForm(forms.Form):
    """How long a key goes on beside its successor."""

    overlap = forms.TypedChoiceField(
        label="How long does the old key go on?",
        choices=OVERLAPS,
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        initial=24 * 3600,
        widget=UnfoldAdminRadioSelectWidget,
        help_text="Long enough to give the new key to everyone who uses the old one.",
    )


class RotateForm(OverlapForm):
    """A rotation. Unless somebody changes it, the successor lives as long as its predecessor."""

    expires = ExpiryField(label="New key expires", validators=[edits.check_is_to_come])

    def __init__(self, data: QueryDict | None = None, *, key: ApiKey) -> None:
        super().__init__(data, initial={"expires": key.next_expiry})

    def clean_expires(self) -> datetime | None:
        """What is not sent at all keeps the span: only an emptied field means a key for ever."""
        if self.add_prefix("expires") not in self.data:
            return cast(datetime | None, self.initial["expires"])
        return cast(datetime | None, self.cleaned_data["expires"])
