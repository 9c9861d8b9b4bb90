"""Providers: the list with each server's health, and the form with its tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from unfold.decorators import display

from providers import discovery, edits, health_rows, model_search
from providers.admin import health, live, servers
from providers.admin.forms import ProviderForm, least_of
from providers.admin.history import ObjectHistory
from providers.health_rows import RELATED
from providers.models import Provider, Source

MOST_ERROR_CHARACTERS = 200
MOST_LISTED_MODELS = 50

SERVER = (
    "Server",
    {"description": "Where the vLLM server answers, and what it asks for as a key."},
)
MODELS = (
    "Models",
    {
        "fields": ("models_mode", "model_ids"),
        "description": "Clients ask for a model as <i>provider name</i>/<i>model id</i>."
        " With discover, its models are those the server says it serves.",
    },
)
PASSTHROUGH = (
    "Passthrough",
    {
        "fields": ("passthrough",),
        "description": "What clients may call of the server's own paths, under /p/<i>provider"
        " name</i>/, beside the OpenAI-compatible ones under /v1.",
    },
)
TRANSLATION = (
    "Translation",
    {
        "fields": ("translation",),
        "description": "With auto, Responses and Messages calls go as they came to a server that"
        " speaks them, and are translated to chat completions for one that does not.",
    },
)
ROUTING = (
    "Routing",
    {
        "fields": ("weight", "max_concurrency", "draining", "repeats_after_timeout"),
        "description": "Calls for a model that several servers have are shared among them.",
    },
)
LIMITS = (
    "Time limits",
    {
        "fields": ("connect_seconds", "first_byte_seconds", "idle_seconds"),
        "description": "In seconds. A call that exceeds one is answered 504.",
    },
)


@dataclass(frozen=True, slots=True)
class Switch:
    """A field to be put on or off, and how that is called once it is done."""

    field: str
    on: bool
    done: str


ENABLE, DISABLE = Switch("enabled", True, "Enabled"), Switch("enabled", False, "Disabled")
DRAIN = Switch("draining", True, "Draining")
TAKE_CALLS = Switch("draining", False, "Taking calls again")


class HealthFilter(admin.SimpleListFilter):
    title, parameter_name = "health", "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return health.CHOICES

    def queryset(self, request: HttpRequest, queryset: QuerySet[Provider]) -> QuerySet[Provider]:
        ids = health.of_standing(self.value())
        return queryset if ids is None else queryset.filter(pk__in=ids)


@admin.register(Provider)
class ProviderAdmin(ObjectHistory):
    form = ProviderForm
    list_display = ("name", "address", "health", "load", "models", "last_error", "from_where")
    list_filter = (HealthFilter, "source", "models_mode")
    list_select_related = RELATED
    list_per_page = 50
    list_fullwidth = True
    search_fields = ("name", "base_url")
    search_help_text = "Name, base URL, model or alias"
    readonly_fields = ("connection",)
    actions = ("enable", "disable", "drain", "take_calls")
    list_before_template = "admin/providers/live/list.html"
    change_form_outer_before_template = "admin/providers/provider/status.html"

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
        return render_to_string("admin/providers/provider/source.html", {"provider": provider})

    @display(description="Connection")
    def connection(self, provider: Provider) -> SafeString:
        pk = None if provider._state.adding else provider.pk
        url = _url("test", pk) if pk else reverse("admin:providers_provider_test_new")
        return render_to_string("admin/providers/provider/connection.html", {"url": url})

    @display(description="API key")
    def new_api_key(self, provider: Provider) -> str:
        """What those see who may not change the key."""
        return "(set)" if provider.sealed_api_key else "(none)"

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
        title, options = SERVER
        server = (title, {**options, "fields": [*fields, "enabled"]})
        return (server, MODELS, ROUTING, PASSTHROUGH, TRANSLATION, LIMITS)

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
                "refresh_url": _url("refresh", stored.pk),
                "drain_url": _url("take_calls" if stored.draining else "drain", stored.pk),
                "follow_url": _url("follow", stored.pk),
                "may_edit": self.has_change_permission(request, stored),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: Any) -> None:
        """Save what has changed, and nothing otherwise: a row is detached by edits alone."""
        if change:
            self._save_edit(request, obj)
        else:
            obj.save()

    def _save_edit(self, request: HttpRequest, provider: Provider) -> None:
        if edits.save(provider):
            text = (
                f"{provider.name} came from the {provider.get_source_display()}. After this edit it"
                " no longer follows it; the button on its page makes it follow again."
            )
            self.message_user(request, text, messages.WARNING)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Without what discovery found, which no operator thinks of as a thing to delete."""
        _, _, lacking, protected = super().get_deleted_objects(objs, request)
        names = [str(provider) for provider in objs]
        return names, {self.opts.verbose_name_plural: len(names)}, lacking, protected

    def delete_model(self, request: HttpRequest, obj: Provider) -> None:
        self._warn_of_return(request, [obj])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        self._warn_of_return(request, list(queryset))
        super().delete_queryset(request, queryset)

    def _warn_of_return(self, request: HttpRequest, providers: list[Provider]) -> None:
        names = [provider.name for provider in providers if provider.source != Source.ADMIN]
        if names:
            text = (
                f"{', '.join(names)}: still in the environment or YAML file, and so made again at"
                " the next start. To keep a server from being called, disable it instead."
            )
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        self._switch(request, queryset, ENABLE)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        self._switch(request, queryset, DISABLE)

    @admin.action(description="Drain", permissions=["change"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        self._switch(request, queryset, DRAIN)

    @admin.action(description="Take calls again", permissions=["change"])
    def take_calls(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        self._switch(request, queryset, TAKE_CALLS)

    @transaction.atomic
    def _switch(self, request: HttpRequest, queryset: QuerySet[Provider], switch: Switch) -> None:
        """An edit of each row that is not so already."""
        switched = list(queryset.exclude(**{switch.field: switch.on}))
        for provider in switched:
            setattr(provider, switch.field, switch.on)
            self._save_edit(request, provider)
        self.message_user(request, f"{switch.done}: {len(switched)}.", messages.SUCCESS)

    def get_urls(self) -> list[URLPattern]:
        def served(route: str, view: Any, name: str) -> URLPattern:
            guarded = self.admin_site.admin_view(require_POST(view))
            return path(route, guarded, name=f"providers_provider_{name}")

        return [
            served("test/", self.test_view, "test_new"),
            served("<uuid:object_id>/test/", self.test_view, "test"),
            served("<uuid:object_id>/refresh/", self.refresh_view, "refresh"),
            served("<uuid:object_id>/follow/", self.follow_view, "follow"),
            served("<uuid:object_id>/drain/", self.switch_view(DRAIN), "drain"),
            served("<uuid:object_id>/take-calls/", self.switch_view(TAKE_CALLS), "take_calls"),
            path("live/", never_cache(require_GET(self.live_view)), name="providers_provider_live"),
            *super().get_urls(),
        ]

    def test_view(self, request: HttpRequest, object_id: UUID | None = None) -> HttpResponse:
        """Ask the server with the values in the form, saved or not, and keep nothing."""
        stored = self._to_change(request, object_id) if object_id else None
        if stored is None and not self.has_add_permission(request):
            raise PermissionDenied
        stored_at = stored.base_url if stored else ""
        form = self.get_form(request, stored, change=stored is not None)(
            request.POST, instance=stored
        )
        form.full_clean()
        named = ("base_url", "new_api_key", "remove_api_key")
        problems = [error for name in named for error in form.errors.get(name, [])]
        note, outcome = "", None
        if not problems:
            form.apply_key()
            note = _withhold_key(form, stored_at)
            outcome = discovery.test(form.instance)
        cards = outcome.cards if outcome else ()
        models = [card["id"] for card in cards[:MOST_LISTED_MODELS]]
        context = {
            "problems": problems,
            "note": note,
            "outcome": outcome,
            "models": models,
            "more": len(cards) - len(models),
        }
        return TemplateResponse(request, "admin/providers/provider/outcome.html", context)

    def refresh_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Ask the server now, and keep what it says."""
        provider = self._to_change(request, object_id)
        found = discovery.ask_now(provider.pk)
        if found.error:
            self.message_user(request, f"{provider.name}: {found.error}", messages.ERROR)
        else:
            text = f"{provider.name} answers and lists {_models(len(found.cards))}."
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(_url("change", object_id))

    def follow_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Give a row back to the environment or YAML file that it came from."""
        provider = self._to_change(request, object_id)
        with transaction.atomic():
            followed = edits.follow(provider)
        if followed:
            text = (
                f"{provider.name} follows the {provider.get_source_display()} again,"
                " from the next start on."
            )
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(_url("change", object_id))

    def switch_view(self, switch: Switch) -> Callable[..., HttpResponse]:
        """The view of a button that puts one provider's switch so."""

        def view(request: HttpRequest, object_id: UUID) -> HttpResponse:
            provider = self._to_change(request, object_id)
            self._switch(request, Provider.objects.filter(pk=provider.pk), switch)
            return HttpResponseRedirect(_url("change", object_id))

        return view

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """What has changed on a page that shows providers; see `live`. Unlike the admin's other
        pages it leads nobody to the login page, which would be pasted into the page that asks."""
        if not (self.admin_site.has_permission(request) and self.has_view_permission(request)):
            return live.stopped(request)
        return servers.changes(request) if servers.SERVERS in request.GET else live.changes(request)

    def _to_change(self, request: HttpRequest, object_id: UUID) -> Provider:
        provider = get_object_or_404(Provider, pk=object_id)
        if not self.has_change_permission(request, provider):
            raise PermissionDenied
        return provider


def _withhold_key(form: ProviderForm, stored_at: str) -> str:
    """Send a stored key only where it was stored for: a test leaves no trace in the history.

    What the page says of it.
    """
    provider = form.instance
    typed = form.cleaned_data.get("new_api_key")
    if typed or not provider.sealed_api_key or provider.base_url == stored_at:
        return ""
    provider.api_key = ""
    return "Asked without the stored key, which belongs to the saved address: type it to send it."


def _url(view: str, pk: UUID) -> str:
    return reverse(f"admin:providers_provider_{view}", args=[pk])


def _models(count: int) -> str:
    return f"{count} model{'' if count == 1 else 's'}"
