"""What puts servers in and out of service: enable, disable, drain, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from providers import consequences, edits
from providers.admin import confirming
from providers.admin.history import ObjectHistory
from providers.consequences import Consequences
from providers.models import Provider
from providers.transactions import edit


@dataclass(frozen=True, slots=True)
class Switch:
    """A field to be put on or off; the title of the action, and of its result."""

    field: str
    on: bool
    title: str
    done: str


ENABLE = Switch("enabled", True, "Enable", "Enabled")
DISABLE = Switch("enabled", False, "Disable", "Disabled")
DRAIN = Switch("draining", True, "Drain", "Draining")
TAKE_CALLS = Switch("draining", False, "Take calls again", "Taking calls again")


class ProviderSwitches(ObjectHistory):
    """The actions of the list and the buttons of a provider's page that switch servers."""

    actions = ("enable", "disable", "drain", "take_calls", "delete_selected")
    delete_confirmation_template = "admin/providers/provider/delete.html"
    delete_selected_confirmation_template = "admin/providers/provider/delete_selected.html"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.switch("<uuid:object_id>/enable/", ENABLE, "enable"),
            self.switch("<uuid:object_id>/disable/", DISABLE, "disable"),
            self.switch("<uuid:object_id>/drain/", DRAIN, "drain"),
            self.switch("<uuid:object_id>/take-calls/", TAKE_CALLS, "take_calls"),
            *super().get_urls(),
        ]

    def served(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """A view that takes POST alone, from those who are logged in."""
        guarded = self.admin_site.admin_view(require_POST(view))
        return path(route, guarded, name=f"providers_provider_{name}")

    def switch(self, route: str, switch: Switch, name: str) -> URLPattern:
        return self.served(route, self.editing(self.switch_view(switch)), name)

    def to_change(self, request: HttpRequest, object_id: UUID) -> Provider:
        provider = get_object_or_404(Provider, pk=object_id)
        if not self.has_change_permission(request, provider):
            raise PermissionDenied
        return provider

    def save_edit(self, request: HttpRequest, provider: Provider) -> None:
        had_key, detaches = bool(provider.sealed_api_key), edits.save(provider)
        if had_key and not provider.sealed_api_key:
            self.message_user(request, edits.KEY_STAYS_BEHIND, messages.WARNING)
        if detaches:
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
        names = [provider.name for provider in providers if provider.is_named]
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
    def disable(
        self, request: HttpRequest, queryset: QuerySet[Provider]
    ) -> TemplateResponse | None:
        return self._switch_if_confirmed(request, queryset, DISABLE)

    @admin.action(description="Drain", permissions=["change"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Provider]) -> TemplateResponse | None:
        return self._switch_if_confirmed(request, queryset, DRAIN)

    @admin.action(description="Take calls again", permissions=["change"])
    def take_calls(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        self._switch(request, queryset, TAKE_CALLS)

    @admin.action(description="Delete", permissions=["delete"])
    def delete_selected(
        self, request: HttpRequest, queryset: QuerySet[Provider]
    ) -> TemplateResponse | None:
        """Django's, which asks first; its page says what clients would miss."""
        page = delete_selected(self, request, queryset)
        if page is not None:
            lost = consequences.of_deleting({provider.pk for provider in queryset})
            page.context_data = {**(page.context_data or {}), "sentences": lost.sentences}
        return page

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        provider = self.get_object(request, unquote(object_id))
        lost = consequences.of_deleting({provider.pk} if provider else set())
        context = {"sentences": lost.sentences, **(extra_context or {})}
        return super().delete_view(request, object_id, context)

    def _switch_if_confirmed(
        self, request: HttpRequest, queryset: QuerySet[Provider], switch: Switch
    ) -> TemplateResponse | None:
        """Switch at once where clients would miss nothing; else the page that asks first."""
        providers = list(queryset)
        lost = consequences.of({provider.pk for provider in providers})
        if not confirming.is_confirmed(request, lost):
            return self._ask(request, providers, switch, lost, confirming.carried(request.POST))
        self._switch(request, queryset, switch)
        return None

    def _ask(
        self,
        request: HttpRequest,
        providers: list[Provider],
        switch: Switch,
        lost: Consequences,
        fields: list[tuple[str, str]],
    ) -> TemplateResponse:
        one = providers[0] if len(providers) == 1 else None
        named = one.name if one else f"{len(providers)} providers"
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{switch.title} {named}?",
            "switch": switch,
            "providers": providers,
            "sentences": lost.sentences,
            "fields": [*fields, (confirming.CONFIRMED, lost.digest)],
            "back_url": url("change", one.pk) if one else request.get_full_path(),
        }
        return TemplateResponse(request, "admin/providers/provider/confirm.html", context)

    @edit()
    def _switch(self, request: HttpRequest, queryset: QuerySet[Provider], switch: Switch) -> None:
        """Edit each row whose field has the other value."""
        chosen = self.lock(queryset)
        switched = [each for each in chosen if getattr(each, switch.field) != switch.on]
        for provider in switched:
            setattr(provider, switch.field, switch.on)
            self.save_edit(request, provider)
        self.message_user(request, f"{switch.done}: {len(switched)}.", messages.SUCCESS)

    def switch_view(self, switch: Switch) -> Callable[..., HttpResponse]:
        """The view of the button that switches one provider."""

        def view(request: HttpRequest, object_id: UUID) -> HttpResponse:
            provider = self.to_change(request, object_id)
            page = self._switch_if_confirmed(
                request, Provider.objects.filter(pk=provider.pk), switch
            )
            return page or HttpResponseRedirect(url("change", object_id))

        return view


def url(view: str, pk: UUID) -> str:
    """The address of a page or button of one provider."""
    return reverse(f"admin:providers_provider_{view}", args=[pk])
