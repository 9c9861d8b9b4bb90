"""Aliases: the list with what each leads to, and the form with its targets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from auditlog.models import LogEntry
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import display

from providers import aliases
from providers.admin.alias_forms import NAME_HELP, AliasForm, TargetForm, TargetFormSet
from providers.admin.history import ObjectHistory
from providers.admin.whole_numbers import least_of
from providers.alias_flags import MOST_SUMMED_UP, Seen, seen_now
from providers.models import Alias, AliasTarget


class Targets(TabularInline):
    model = AliasTarget
    form = TargetForm
    formset = TargetFormSet
    fields = ("tier", "provider", "model", "weight")
    extra = 1
    max_num = aliases.MOST_TARGETS

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        return super().formfield_for_dbfield(db_field, request, **least_of(db_field), **options)


@admin.register(Alias)
class AliasAdmin(ObjectHistory):
    form = AliasForm
    list_filter = ("enabled", "policy", "resumes")
    sortable_by = ("name", "enabled", "policy_word", "resumes")
    list_per_page = 50
    list_fullwidth = True
    search_fields = ("name", "targets__model", "targets__provider")
    inlines = (Targets,)
    fields = (
        "name",
        "enabled",
        "policy",
        "response_model",
        "resumes",
        "queue_calls",
        "queue_seconds",
    )
    change_form_outer_before_template = "admin/providers/alias/status.html"

    def entries_of(self, found: Model) -> QuerySet[LogEntry]:
        """Its own and its targets', also of those that are gone: an entry tells the alias where a
        target was made."""
        of_targets = LogEntry.objects.get_for_model(AliasTarget)
        made = of_targets.filter(action=LogEntry.Action.CREATE, changes__alias__1=str(found.pk))
        its_targets = of_targets.filter(object_pk__in=made.values("object_pk"))
        return super().entries_of(found) | its_targets

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alias]:
        return super().get_queryset(request).prefetch_related("targets__alias")

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().get_form(request, *args, help_texts={"name": NAME_HELP}, **kwargs)

    def get_list_display(self, request: HttpRequest) -> Any:
        return ("name", "enabled", "leads_to", "policy_word", "resumes", _flags_column(seen_now()))

    @display(description="Leads to")
    def leads_to(self, alias: Alias) -> str:
        return in_words(alias)

    @display(description="Policy", ordering="policy")
    def policy_word(self, alias: Alias) -> str:
        return alias.policy.replace("_", " ") or "the installation's"

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        seen = seen_now()
        context["known_models"] = seen.models()
        if found := context.get("original"):
            # The form has put what was typed on `original`: the page's head tells what is stored.
            stored = Alias.objects.prefetch_related("targets__alias").get(pk=found.pk)
            context["flags"] = seen.flags(stored)
        return super().render_change_form(request, context, *args, **kwargs)


def in_words(alias: Alias) -> str:
    """Its tiers, such as "gpu-1/m x2 and gpu-2/m, then m"."""
    rows = list(alias.targets.all())
    tiers = groupby(rows[:MOST_SUMMED_UP], key=lambda row: row.tier)
    words = ", then ".join(" and ".join(map(_target, tier)) for _, tier in tiers)
    more = len(rows) - MOST_SUMMED_UP
    return f"{words}, and {more} more" if more > 0 else words


def _target(row: AliasTarget) -> str:
    return row.named if row.weight == 1 else f"{row.named} x{row.weight:g}"


def _flags_column(seen: Seen) -> Callable[[Alias], SafeString]:
    @display(description="Flags")
    def flags(alias: Alias) -> SafeString:
        context = {"flags": seen.flags(alias)}
        return render_to_string("admin/providers/alias/flags.html", context)

    return flags
