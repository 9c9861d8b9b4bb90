"""The buttons of a provider's page that ask its server, or change where its values come from."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from providers import discovery, edits
from providers.admin.provider_form import ProviderForm
from providers.admin.provider_switches import ProviderSwitches, url

MOST_LISTED_MODELS = 50


class ProviderButtons(ProviderSwitches):
    def get_urls(self) -> list[URLPattern]:
        return [
            path("test/", require_POST(self.test_view), name="providers_provider_test_new"),
            path(
                "<uuid:object_id>/test/",
                require_POST(self.test_view),
                name="providers_provider_test",
            ),
            self.served("<uuid:object_id>/refresh/", self.refresh_view, "refresh"),
            self.served("<uuid:object_id>/follow/", self.editing(self.follow_view), "follow"),
            self.served("<uuid:object_id>/clone/", self.editing(self.clone_view), "clone"),
            *super().get_urls(),
        ]

    def test_view(self, request: HttpRequest, object_id: UUID | None = None) -> HttpResponse:
        """Ask the server with the values in the form, saved or not, and keep nothing.

        Unlike the admin's other views it leads nobody to the login page, which would be put into
        the form's box.
        """
        if not self.admin_site.has_permission(request):
            return self._logged_out(request, object_id)
        stored = self.to_change(request, object_id) if object_id else None
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
            try:
                outcome = discovery.test(form.instance)
            except discovery.TooManyTests as error:
                problems, note = [str(error)], ""
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

    def _logged_out(self, request: HttpRequest, object_id: UUID | None) -> HttpResponse:
        page = url("change", object_id) if object_id else reverse("admin:providers_provider_add")
        login = f"{reverse('admin:login')}?{urlencode({REDIRECT_FIELD_NAME: page})}"
        return render(request, "admin/providers/provider/logged_out.html", {"login_url": login})

    def refresh_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Ask the server now, and keep what it says."""
        provider = self.to_change(request, object_id)
        try:
            found = discovery.ask_now(provider.pk)
        except discovery.TooManyTests as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(url("change", object_id))
        if found.error:
            self.message_user(request, f"{provider.name}: {found.error}", messages.ERROR)
        else:
            text = f"{provider.name} answers and lists {_models(len(found.cards))}."
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(url("change", object_id))

    def follow_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Give a row back to the environment or YAML file that it came from."""
        provider = self.to_change(request, object_id)
        if edits.follow(provider):
            text = (
                f"{provider.name} follows the {provider.get_source_display()} again,"
                " from the next start on."
            )
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(url("change", object_id))

    def clone_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Make a copy, disabled, and lead to its page. Its key is copied too, so that whoever may
        only add servers does not get at one."""
        provider = self.to_change(request, object_id)
        if not self.has_add_permission(request):
            raise PermissionDenied
        copy = edits.clone(provider)
        self.log_addition(request, copy, [{"added": {}}])
        key = " with its API key" if copy.sealed_api_key else ""
        text = (
            f"{copy.name} is a copy of {provider.name}{key}, and disabled. Give it its own name and"
            " base URL, type the key again where that is another server's, save it, see whether Refresh models finds its server, and enable it."
        )
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(url("change", copy.pk))


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


def _models(count: int) -> str:
    return f"{count} model{'' if count == 1 else 's'}"
