"""The form of an alias and of its targets."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms import BaseInlineFormSet
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from providers import alias_edits
from providers.models import AliasTarget, Provider

NAME_HELP = (
    "What clients put in <code>model</code>. A <code>*</code> stands for any characters, also none:"
    " <code>claude-*</code> is for all names that begin so, except names that another alias has"
    " or a server serves."
)
ANY = ("", "any that serves it, or an alias")


class TargetForm(forms.ModelForm):
    """A target. A provider that is gone stays among the choices of the row that names it."""

    provider = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = AliasTarget
        fields = ("tier", "provider", "model", "weight")
        widgets = {"model": UnfoldAdminTextInputWidget(attrs={"list": "known-models"})}

    def __init__(self, *args: Any, names: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "provider" not in self.fields:  # who may only look has no fields
            return
        stored = self.instance.provider
        gone = [(stored, f"{stored} (gone)")] if stored and stored not in names else []
        choices = [ANY, *((name, name) for name in names), *gone]
        self.fields["provider"] = forms.ChoiceField(
            required=False, widget=UnfoldAdminSelectWidget, choices=choices
        )


class TargetFormSet(BaseInlineFormSet):
    """All targets of an alias, judged together."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Provider.objects.order_by("name").values_list("name", flat=True)
        self.form_kwargs = {**self.form_kwargs, "names": tuple(names)}

    def validate_unique(self) -> None:
        """Left to `clean`, which says which target is there twice."""

    def clean(self) -> None:
        if any(self.errors):
            return
        kept = [
            form.instance
            for form in self.forms
            if (form.has_changed() or form.instance.pk) and not form.cleaned_data.get("DELETE")
        ]
        alias_edits.check(self.instance, kept)
