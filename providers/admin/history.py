"""The history: who changed what, with the values before and after. Nobody edits it."""

from __future__ import annotations

from typing import Any

from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from providers import login_history
from providers.admin import changes
from providers.admin.base import SafeAdmin
from providers.admin.editing import EditingAdmin

PER_PAGE = 50
ACTIONS = {
    LogEntry.Action.CREATE: "added",
    LogEntry.Action.UPDATE: "changed",
    LogEntry.Action.DELETE: "deleted",
    LogEntry.Action.ACCESS: "seen",
}
OF_PEOPLE, SEES_PEOPLE = "auth", "auth.view_user"
"""Entries of users, groups and logins, and who may see them: not everybody who sees the others."""
WITH_PAGES = {
    ("providers", "provider"),
    ("providers", "apikey"),
    ("providers", "alias"),
    (OF_PEOPLE, "user"),
    (OF_PEOPLE, "group"),
}
KINDS = {"apikey": "API key", "aliastarget": "alias target", "login": "login"}
SHOWN_KINDS = ("provider", "apikey", "alias", "aliastarget", "user", "group", "login")

COLOURS = {
    "added": "success",
    "changed": "info",
    "deleted": "danger",
    login_history.FAILED: "warning",
}

admin.site.unregister(LogEntry)


def actor(entry: LogEntry) -> str:
    """Who did it: a person or an API key; "Aurora" for what a start-up has done."""
    if login_history.event_of(entry) == login_history.FAILED:
        return "somebody"
    by = str((entry.additional_data or {}).get("by", ""))
    key = by if by.startswith("API key ") else ""
    return str(entry.actor or entry.actor_email or key or "Aurora")


def deed(entry: LogEntry) -> str:
    return login_history.event_of(entry) or ACTIONS[entry.action]


def visible(request: HttpRequest, entries: QuerySet[LogEntry]) -> QuerySet[LogEntry]:
    """Those of the entries that the user may see."""
    if request.user.has_perm(SEES_PEOPLE):
        return entries
    return entries.exclude(content_type__app_label=OF_PEOPLE)


def changes_table(entry: LogEntry) -> SafeString:
    return render_to_string("admin/history/changes.html", {"changes": changes.of(entry)})


class KindFilter(admin.SimpleListFilter):
    title, parameter_name = "kind", "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, KINDS.get(kind, kind)) for kind in SHOWN_KINDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        kind = self.value()
        if kind == "login":
            return queryset.filter(action=LogEntry.Action.ACCESS)
        if kind == "user":
            queryset = queryset.exclude(action=LogEntry.Action.ACCESS)
        return queryset.filter(content_type__model=kind) if kind else queryset


@admin.register(LogEntry)
class HistoryAdmin(SafeAdmin):
    """Every entry. An entry's own page shows the values before and after."""

    list_display = ("when", "who", "what", "kind", "name", "fields_changed")
    list_display_links = ("when",)
    list_filter = ("action", KindFilter, ("actor", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("content_type", "actor")
    search_fields = ("object_repr", "actor__username")
    date_hierarchy = "timestamp"
    list_per_page = PER_PAGE
    fields = ("when", "who", "what", "kind", "subject", "before_and_after")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogEntry]:
        return visible(request, super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": "History", **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"title": "A change in the history", **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    @display(description="When (UTC)", ordering="timestamp")
    def when(self, entry: LogEntry) -> str:
        return f"{entry.timestamp:%Y-%m-%d %H:%M:%S}"

    @display(description="Who")
    def who(self, entry: LogEntry) -> str:
        return actor(entry)

    @display(description="What", label=COLOURS)
    def what(self, entry: LogEntry) -> str:
        return deed(entry)

    @display(description="Kind")
    def kind(self, entry: LogEntry) -> str:
        return "login" if login_history.event_of(entry) else str(entry.content_type.name)

    @display(description="Name")
    def name(self, entry: LogEntry) -> str:
        return str(entry.object_repr)

    @display(description="Name")
    def subject(self, entry: LogEntry) -> SafeString | str:
        kind = entry.content_type
        has_page = (kind.app_label, kind.model) in WITH_PAGES and entry.object_pk
        if entry.action == LogEntry.Action.DELETE or not has_page:
            return str(entry.object_repr)
        link = reverse(f"admin:{kind.app_label}_{kind.model}_change", args=[entry.object_pk])
        return format_html('<a class="text-primary-600" href="{}">{}</a>', link, entry.object_repr)

    @display(description="Fields", empty_value="")
    def fields_changed(self, entry: LogEntry) -> str:
        return changes.summary(entry)

    @display(description="Changes")
    def before_and_after(self, entry: LogEntry) -> SafeString:
        return changes_table(entry)


class ObjectHistory(EditingAdmin):
    """An admin whose History button leads to the entries of its object."""

    def entries_of(self, found: Model) -> QuerySet[LogEntry]:
        """What its history shows, the newest first."""
        own: QuerySet[LogEntry] = LogEntry.objects.get_for_object(found)
        return own

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found: Model | None = self.get_object(request, unquote(object_id))
        if not self.has_view_or_change_permission(request, found):
            raise PermissionDenied
        if found is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        entries = self.entries_of(found).select_related("actor", "content_type")
        page = self.get_paginator(request, entries, PER_PAGE).get_page(request.GET.get(PAGE_VAR, 1))
        context = {
            **self.admin_site.each_context(request),
            "title": f"History: {found}",
            "opts": self.opts,
            "original": found,
            "page": page,
            "page_var": PAGE_VAR,
            "entries": [(entry, actor(entry), deed(entry), changes.of(entry)) for entry in page],
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/history/of_object.html", context)
