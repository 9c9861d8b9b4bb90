"""The form of a provider. A stored secret never comes back through it."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.text import capfirst
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from providers import addresses, edits, secrets
from providers.admin.kept_keys import KEPT_SECONDS, MOST_SEALED_CHARACTERS, Keeper
from providers.models import Provider

KEEP = "•" * 12


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
    so that nothing that renders a form by its fields' names can come upon the stored key.

    A typed key outlives an error in another field: sealed by `keeper`, in a hidden field.
    """

    keeper: Keeper
    writes_only = dict.fromkeys(("new_api_key", "remove_api_key"), "sealed_api_key")
    kept_api_key = forms.CharField(
        label="API key",
        required=False,
        max_length=MOST_SEALED_CHARACTERS,
        widget=forms.HiddenInput,
    )
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
        fields = ("name", "base_url", *edits.SETTINGS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.sealed_api_key and "new_api_key" in self.fields:
            self._explain_key(
                "A key is stored and is never shown. Empty keeps it, unless the base URL gets another"
                " scheme, host or port; typing replaces it."
            )

    def _explain_key(self, text: str) -> None:
        """Show that there is a key although the field is empty, and say which."""
        self.fields["new_api_key"].widget.attrs["placeholder"] = KEEP
        self["new_api_key"].help_text = text

    @cached_property
    def changed_data(self) -> list[str]:
        """A key that is kept and typed anew is one change."""
        names = super().changed_data
        return [name for name in names if name != "kept_api_key" or "new_api_key" not in names]

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and self.errors:
            self.keep_typed_key()

    def keep_typed_key(self) -> None:
        """Put the key that was typed, sealed, into what the page sends next."""
        key = self.cleaned_data.get("new_api_key", "")
        is_wanted = bool(key) and "remove_api_key" not in self.errors
        data = cast(QueryDict, self.data).copy()
        data["kept_api_key"] = self.keeper.seal(key) if is_wanted else ""
        self.data = data
        if is_wanted:
            minutes = KEPT_SECONDS // 60
            self._explain_key(
                f"The key that you typed is kept for {minutes} minutes, until you save. Typing"
                " replaces it."
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
        self._open_kept_key(cleaned)
        if cleaned.get("new_api_key") and cleaned.get("remove_api_key"):
            self.add_error("remove_api_key", "Either type a key or remove the stored one.")
        return cleaned

    def _open_kept_key(self, cleaned: dict[str, Any]) -> None:
        """A key typed now takes the place of one typed before, and so does its removal."""
        sealed = cleaned.get("kept_api_key")
        is_replaced = cleaned.get("new_api_key") or cleaned.get("remove_api_key")
        if not sealed or is_replaced or "new_api_key" in self.errors:
            return
        key = self.keeper.open(sealed)
        if key is None:
            self.add_error(
                "new_api_key", "The key that you typed is kept no longer. Type it again."
            )
        else:
            cleaned["new_api_key"] = key

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
