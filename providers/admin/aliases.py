"""Aliases: the list with what each leads to, and the form with its targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

from providers import aliases, catalog
from providers.admin.alias_forms import TargetForm, TargetFormSet
from providers.admin.forms import least_of
from providers.admin.history import ObjectHistory
from providers.models import Alias, AliasTarget
from providers.snapshot import ProviderEntry, served

MOST_SUMMED_UP = 10
MOST_SUGGESTED = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """What the flags of a page are told from, read once for it."""

    providers: Mapping[str, ProviderEntry]
    written: aliases.Written
    tiers: Mapping[str, aliases.Tiers]

    def flags(self, alias: Alias) -> list[str]:
        unserved = [each.named for each in alias.targets.all() if not self.is_served(each)]
        named = ", ".join(unserved[:MOST_SUMMED_UP])
        shadowed = self.shadowed(alias.name)
        return [
            *([f"nothing serves {named}"] if unserved else []),
            *([f"stands before {shadowed}"] if shadowed else []),
        ]

    def is_served(self, row: AliasTarget) -> bool:
        target = catalog.target_entry(row)
        other = aliases.leads_to(row.alias.name, target, self.written)
        if other is None:
            return bool(served(target, self.providers))
        return any(served(each, self.providers) for tier in self.tiers[other] for each in tier)

    def shadowed(self, name: str) -> str:
        """What clients would get by this name without the alias; empty if nothing."""
        prefix, _, model = name.partition("/")
        named = self.providers.get(prefix)
        if named is not None and model in named.models:
            return f"{model} of {prefix}"
        if any(e.type == prefix and model in e.models for e in self.providers.values()):
            return f"{model} of every {prefix} server"
        of = [entry.name for entry in self.providers.values() if name in entry.models]
        return f"the model of that id of {', '.join(of[:MOST_SUMMED_UP])}" if of else ""

    def models(self) -> list[str]:
        """Ids and aliases to choose a target's model from."""
        ids = {model for entry in self.providers.values() for model in entry.models}
        return sorted(ids | set(self.written))[:MOST_SUGGESTED]


def seen_now() -> Seen:
    """Three queries."""
    written = catalog.written(catalog.enabled_aliases())
    return Seen(catalog.enabled_providers(), written, aliases.resolve(written).tiers)


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
