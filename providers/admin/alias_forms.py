"""The form of an alias and of its targets."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BaseInlineFormSet
from django.forms.formsets import DELETION_FIELD_NAME
from django.utils.functional import cached_property
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from providers import alias_edits
from providers.admin.versions import shown_beside
from providers.models import AliasTarget, Provider

NAME_HELP = (
    "What clients put in <code>model</code>. A <code>*</code> stands for any characters, also none:"
    " <code>claude-*</code> is for all names that begin so, except names that another alias has"
    " or a server serves."
)
TARGETS = "targets"
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


class AliasForm(forms.ModelForm):
    """An alias. Its page shows the targets, too, whose version is this form's."""

    def shown_beside(self) -> dict[str, Any]:
        return {TARGETS: _rows(self.instance)}


def _rows(alias: Any) -> list[list[Any]]:
    """The targets as they are now, in JSON."""
    rows = AliasTarget.objects.filter(alias=alias.pk).order_by("pk")
    return [list(row) for row in rows.values_list("pk", *TargetForm.Meta.fields)]


class TargetFormSet(BaseInlineFormSet):
    """All targets of an alias, judged together. What somebody else has made of them since the page
    was opened stays, unless this form changes them, too: then it is told and nothing is written."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Provider.objects.order_by("name").values_list("name", flat=True)
        self.form_kwargs = {**self.form_kwargs, "names": tuple(names)}

    @cached_property
    def _is_overtaken(self) -> bool:
        return self._shown is not None and self._shown != _rows(self.instance)

    @cached_property
    def _shown(self) -> Any:
        is_new = self.instance._state.adding or not self.is_bound
        return None if is_new else shown_beside(self.data, TARGETS)

    @cached_property
    def _is_untouched(self) -> bool:
        """Whether the form sends the targets as it showed them."""
        shown = {str(pk): values for pk, *values in self._shown}
        return all(self._is_as_shown(form, shown) for form in self.forms)

    def _is_as_shown(self, form: forms.ModelForm, shown: dict[str, list[Any]]) -> bool:
        values = shown.get(str(form["id"].data or ""))
        if values is None:
            return not form.has_changed()
        fields = zip(TargetForm.Meta.fields, values, strict=True)
        is_to_go = DELETION_FIELD_NAME in form.fields and form[DELETION_FIELD_NAME].data
        return not is_to_go and not any(
            form.fields[name].has_changed(value, form[name].data) for name, value in fields
        )

    def is_valid(self) -> bool:
        return super().is_valid() or (self._is_overtaken and self._is_untouched)

    def save(self, commit: bool = True) -> list[Any]:
        if not (self._is_overtaken and self._is_untouched):
            return list(super().save(commit))
        self.new_objects: list[Any] = []
        self.changed_objects: list[Any] = []
        self.deleted_objects: list[Any] = []
        return []

    def validate_unique(self) -> None:
        """Left to `clean`, which says which target is there twice."""

    def clean(self) -> None:
        if self._is_overtaken:
            if self._is_untouched:
                return
            now = ", ".join(each.named for each in self.instance.targets.all())
            raise ValidationError(
                f"Somebody else has changed the targets since this page was opened. They are now:"
                f" {now}. Nothing was saved: open the page again to change those."
            )
        if any(self.errors):
            return
        kept = [
            form.instance
            for form in self.forms
            if (form.has_changed() or form.instance.pk) and not form.cleaned_data.get("DELETE")
        ]
        alias_edits.check(self.instance, kept)
