"""Providers: the list with each server's health, and the form with its tests."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from unfold.decorators import display

from providers import edits, health_rows, model_search
from providers.admin import health, live, servers, sources
from providers.admin import provider_fieldsets as fieldsets
from providers.admin.kept_keys import Keeper
from providers.admin.provider_buttons import ProviderButtons
from providers.admin.provider_form import ProviderForm
from providers.admin.provider_switches import url
from providers.admin.several import SeveralServers
from providers.admin.whole_numbers import least_of
from providers.health_rows import RELATED
from providers.models import Provider

MOST_ERROR_CHARACTERS = 100


class HealthFilter(admin.SimpleListFilter):
    title, parameter_name = "health", "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return health.CHOICES

    def queryset(self, request: HttpRequest, queryset: QuerySet[Provider]) -> QuerySet[Provider]:
        ids = health.of_standing(self.value())
        return queryset if ids is None else queryset.filter(pk__in=ids)


@admin.register(Provider)
class ProviderAdmin(SeveralServers, ProviderButtons):
    form = ProviderForm
    list_display = ("name", "address", "health", "load", "models", "last_error", "from_where")
    list_filter = (HealthFilter, "source", sources.NamedFilter, "models_mode")
    list_select_related = RELATED
    list_per_page = 50
    list_fullwidth = True
    search_fields = ("name", "base_url")
    search_help_text = "Name, base URL, model or alias"
    readonly_fields = ("connection",)
    list_before_template = "admin/providers/live/list.html"
    change_form_outer_before_template = "admin/providers/provider/status.html"
    change_form_before_template = "admin/providers/provider/kept_key.html"

    @display(description="Base URL", ordering="base_url")
    def address(self, provider: Provider) -> SafeString:
        style = "display: inline-block; min-width: 11rem; overflow-wrap: anywhere"
        return format_html('<span style="{}">{}</span>', style, provider.base_url)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[live.LiveChangeList]:
        return live.LiveChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Provider], search_term: str
    ) -> tuple[QuerySet[Provider], bool]:
        """By name and address, and by the models that the servers have."""
        found, repeats = super().get_search_results(request, queryset, search_term)
        if search_term.strip():
            found |= queryset.filter(pk__in=model_search.matching(search_term))
        return found, repeats

    @display(description="Health", ordering="probed__state")
    def health(self, provider: Provider) -> SafeString:
        return live.placed(live.state(provider.pk, getattr(provider, live.SEEN)))

    @display(description="Load", ordering="probed__running")
    def load(self, provider: Provider) -> SafeString:
        return live.placed(live.load(provider.pk, getattr(provider, live.SEEN)))

    @display(description="Models")
    def models(self, provider: Provider) -> int:
        return len(health.models_of(provider))

    @display(description="Last error", empty_value="")
    def last_error(self, provider: Provider) -> SafeString | str:
        context = {
            "text": health.error_of(provider),
            "note": health.answered_of(provider),
            "most": MOST_ERROR_CHARACTERS,
        }
        return render_to_string("admin/providers/provider/error.html", context)

    @display(description="From", ordering="source")
    def from_where(self, provider: Provider) -> SafeString:
        context = {"row": provider, "note": sources.provider_note(provider)}
        return render_to_string("admin/providers/source.html", context)

    @display(description="Connection")
    def connection(self, provider: Provider) -> SafeString:
        pk = None if provider._state.adding else provider.pk
        context = {"url": url("test", pk) if pk else reverse("admin:providers_provider_test_new")}
        return render_to_string("admin/providers/provider/connection.html", context)

    @display(description="API key")
    def new_api_key(self, provider: Provider) -> str:
        """What those see who may not change the key."""
        return "(set)" if provider.sealed_api_key else "(none)"

    def get_form(
        self,
        request: HttpRequest,
        obj: Provider | None = None,
        change: bool = False,
        **options: Any,
    ) -> type[ProviderForm]:
        form: type[ProviderForm] = super().get_form(request, obj, change, **options)
        form.keeper = Keeper(request.session.session_key or "", str(obj.pk) if obj else "new")
        return form

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        return super().formfield_for_dbfield(db_field, request, **least_of(db_field), **options)

    def get_fieldsets(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        fields = ["name", "base_url", "new_api_key"]
        may_edit = (
            self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        )
        if may_edit and obj and obj.sealed_api_key:
            fields.append("remove_api_key")
        if may_edit:
            fields.append("connection")
        title, options = fieldsets.SERVER
        if obj is None:  # later it is switched by buttons: an old form must not put it back
            fields.append("enabled")
        server = (title, {**options, "fields": fields})
        return (server, *fieldsets.OTHERS)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        found: Provider | None = context.get("original")
        if found:
            # The form has put what was typed on `original`: the page's head tells what is stored.
            stored = Provider.objects.select_related(*RELATED).get(pk=found.pk)
            seen = health_rows.seen([stored])
            context["live"] = live.poll(seen)
            context["status"] = {
                "provider": stored,
                "health": live.placed(live.state(stored.pk, seen[stored.pk])),
                "load": live.placed(live.load(stored.pk, seen[stored.pk])),
                "answered": health.answered_of(stored),
                "error": health.error_of(stored),
                "models": health.models_of(stored),
                "routes": health.routes_of(stored),
                "key_is_lost": bool(stored.sealed_api_key) and edits.stored_key(stored) is None,
                "refresh_url": url("refresh", stored.pk),
                "drain_url": url("take_calls" if stored.draining else "drain", stored.pk),
                "enable_url": url("disable" if stored.enabled else "enable", stored.pk),
                "follow_url": url("follow", stored.pk),
                "unnamed": sources.provider_note(stored),
                "clone_url": url("clone", stored.pk) if self.has_add_permission(request) else "",
                "may_edit": self.has_change_permission(request, stored),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: Any) -> None:
        """Save what has changed, and nothing otherwise: a row is detached by edits alone."""
        if change:
            self.save_edit(request, obj)
        else:
            obj.save()

    def get_urls(self) -> list[URLPattern]:
        live_view = never_cache(require_GET(self.live_view))
        return [
            path("live/", live_view, name="providers_provider_live"),
            *super().get_urls(),
        ]

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """What has changed on a page that shows providers; see `live`. Unlike the admin's other
        pages it leads nobody to the login page, which would be pasted into the page that asks."""
        if not (self.admin_site.has_permission(request) and self.has_view_permission(request)):
            return live.stopped(request)
        return servers.changes(request) if servers.SERVERS in request.GET else live.changes(request)
