"""What puts servers in and out of service: enable, disable, drain, delete."""

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
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from providers import edits
from providers.admin.history import ObjectHistory
from providers.models import Provider, Source


@dataclass(frozen=True, slots=True)
class Switch:
    """A field to be put on or off, and how that is called once it is done."""

    field: str
    on: bool
    done: str


ENABLE, DISABLE = Switch("enabled", True, "Enabled"), Switch("enabled", False, "Disabled")
DRAIN = Switch("draining", True, "Draining")
TAKE_CALLS = Switch("draining", False, "Taking calls again")


class ProviderSwitches(ObjectHistory):
    """The actions of the list and the buttons of a provider's page that switch servers."""

    actions = ("enable", "disable", "drain", "take_calls")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.served("<uuid:object_id>/drain/", self.switch_view(DRAIN), "drain"),
            self.served("<uuid:object_id>/take-calls/", self.switch_view(TAKE_CALLS), "take_calls"),
            *super().get_urls(),
        ]

    def served(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """A view that takes POST alone, from those who are logged in."""
        guarded = self.admin_site.admin_view(require_POST(view))
        return path(route, guarded, name=f"providers_provider_{name}")

    def to_change(self, request: HttpRequest, object_id: UUID) -> Provider:
        provider = get_object_or_404(Provider, pk=object_id)
        if not self.has_change_permission(request, provider):
            raise PermissionDenied
        return provider

    def save_edit(self, request: HttpRequest, provider: Provider) -> None:
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
            self.save_edit(request, provider)
        self.message_user(request, f"{switch.done}: {len(switched)}.", messages.SUCCESS)

    def switch_view(self, switch: Switch) -> Callable[..., HttpResponse]:
        """The view of a button that puts one provider's switch so."""

        def view(request: HttpRequest, object_id: UUID) -> HttpResponse:
            provider = self.to_change(request, object_id)
            self._switch(request, Provider.objects.filter(pk=provider.pk), switch)
            return HttpResponseRedirect(url("change", object_id))

        return view


def url(view: str, pk: UUID) -> str:
    """The address of a page or button of one provider."""
    return reverse(f"admin:providers_provider_{view}", args=[pk])
