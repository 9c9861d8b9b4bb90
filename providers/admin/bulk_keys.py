"""Many keys rotated or revoked from the list: a page that asks, then all of them or none.

The new secrets are on one page only, the answer to the POST that made them. Loading it again sends
that POST again, which finds the keys rotated and changes nothing.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from providers import csv_text, key_edits, key_rights
from providers.admin.history import ObjectHistory
from providers.admin.key_forms import OverlapForm
from providers.key_edits import MOST_KEYS, Rotation
from providers.key_rights import NotAllowed, Rights
from providers.models import ApiKey

TITLES = {"rotate": "Rotate", "revoke": "Revoke"}
DONE = {"rotate": "rotated", "revoke": "revoked"}


class BulkKeys(ObjectHistory):
    """The actions of the list of keys."""

    actions = ("rotate_selected", "revoke_selected")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.served("rotate-selected/", self.editing(self.rotate_many_view), "rotate_many"),
            self.served("revoke-selected/", self.editing(self.revoke_many_view), "revoke_many"),
            *super().get_urls(),
        ]

    def served(self, route: str, view: Any, name: str) -> URLPattern:
        guarded = require_http_methods(["GET", "POST"])(csrf_protect(view))
        return path(route, self.admin_site.admin_view(guarded), name=f"providers_apikey_{name}")

    def rights(self, request: HttpRequest) -> Rights:
        """What the user may do to keys, beside the permission to edit them at all."""
        return key_rights.of_person(request.user.has_perm)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Keys of all kinds: who takes access away hands out nothing."""
        return request.user.has_perm("providers.change_apikey")

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request) and self.has_add_permission(request)

    @admin.action(description="Rotate", permissions=["rotate"])
    def rotate_selected(
        self, request: HttpRequest, queryset: QuerySet[ApiKey]
    ) -> TemplateResponse | None:
        return self._ask(request, queryset, "rotate", OverlapForm())

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_selected(
        self, request: HttpRequest, queryset: QuerySet[ApiKey]
    ) -> TemplateResponse | None:
        return self._ask(request, queryset, "revoke")

    def rotate_many_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_rotate_permission(request):
            raise PermissionDenied
        form = OverlapForm(request.POST)
        ids = _ids(request)
        if not ids:
            return self._back(request, "Choose the keys in the list.")
        if not form.is_valid():
            asked = self._ask(request, ApiKey.objects.filter(pk__in=ids), "rotate", form)
            return asked or HttpResponseRedirect(_list_url())
        try:
            rotations = self._rotate(request, ids, form)
        except (ValidationError, NotAllowed, ApiKey.DoesNotExist) as error:
            return self._back(request, _words(error))
        return self._shown_once_together(request, rotations)

    def revoke_many_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        ids = _ids(request)
        if not ids:
            return self._back(request, "Choose the keys in the list.")
        try:
            count = self._revoke(request, ids)
        except ApiKey.DoesNotExist as error:
            return self._back(request, _words(error))
        return self._back(request, f"Keys revoked: {count}.", messages.SUCCESS)

    @transaction.atomic
    def _rotate(self, request: HttpRequest, ids: list[UUID], form: OverlapForm) -> list[Rotation]:
        overlap = form.cleaned_data["overlap"]
        rotations = key_edits.rotate_all(ids, overlap, self.rights(request))
        for rotation in rotations:
            self.log_change(request, rotation.old, "Rotated.")
        return rotations

    @transaction.atomic
    def _revoke(self, request: HttpRequest, ids: list[UUID]) -> int:
        revoked = key_edits.revoke_all(ids, self.rights(request))
        for key in revoked:
            self.log_change(request, key, "Revoked.")
        return len(revoked)

    def _ask(
        self, request: HttpRequest, chosen: QuerySet[ApiKey], verb: str, form: Form | None = None
    ) -> TemplateResponse | None:
        """The page that lists the keys; None, with a message, where there is nothing to ask."""
        keys = list(chosen.order_by("name", "pk")[: MOST_KEYS + 1])
        if len(keys) > MOST_KEYS:
            text = f"Choose at most {MOST_KEYS} keys at once. Nothing was changed."
            self.message_user(request, text, messages.ERROR)
            return None
        rights = self.rights(request)
        may = {"rotate": rights.kinds, "revoke": rights.revokes}[verb]
        taken = [key for key in keys if key.kind in may and _is_open(key, verb)]
        if not taken:
            text = f"None of these keys can be {DONE[verb]}: {_why_none(keys, verb)}"
            self.message_user(request, text, messages.ERROR)
            return None
        with_them = key_edits.made_by(key.pk for key in taken) if verb == "revoke" else []
        left = ApiKey.objects.exclude(pk__in=[key.pk for key in [*taken, *with_them]])
        return self._bulk_page(
            request,
            f"{verb}_many",
            f"{TITLES[verb]} {len(taken)} API key{'s' * (len(taken) > 1)}?",
            keys=taken,
            left_out=[(key, _why_not(key, verb)) for key in keys if key not in taken],
            made_by_them=with_them,
            keeps_stored=rights.keeps_stored,
            form=form,
            action=reverse(f"admin:providers_apikey_{verb}_many"),
            is_last=verb == "revoke" and not left.in_state("calling").exists(),
            is_last_manager=verb == "revoke"
            and any(key.may_manage for key in taken)
            and not left.in_state("managing").exists(),
        )

    def _shown_once_together(
        self, request: HttpRequest, rotations: list[Rotation]
    ) -> TemplateResponse:
        """The page with the secrets. It answers the POST itself, so they are kept nowhere."""
        cells = [(r.successor.name, r.successor.hint, r.secret) for r in rotations]
        answer = self._bulk_page(
            request,
            "secrets",
            f"{len(rotations)} new API keys" if len(rotations) > 1 else "A new API key",
            rotations=rotations,
            keeps_stored=all(each.keeps_stored for each in rotations),
            table=csv_text.text([("name", "hint", "secret"), *cells]),
            file_name=f"aurora-keys-{timezone.now():%Y-%m-%d-%H%M}.csv",
        )
        answer["Cache-Control"] = "no-store"
        return answer

    def _bulk_page(
        self, request: HttpRequest, name: str, title: str, **context: Any
    ) -> TemplateResponse:
        context |= {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "back_url": _list_url(),
        }
        return TemplateResponse(request, f"admin/providers/apikey/{name}.html", context)

    def _back(
        self, request: HttpRequest, text: str, level: int = messages.ERROR
    ) -> HttpResponseRedirect:
        self.message_user(request, text, level)
        return HttpResponseRedirect(_list_url())


def _ids(request: HttpRequest) -> list[UUID]:
    """The keys that the page listed; none where a value is no id, or there are too many."""
    try:
        ids = list(dict.fromkeys(UUID(value) for value in request.POST.getlist("key")))
    except ValueError:
        return []
    return ids if len(ids) <= MOST_KEYS else []


def _words(error: Exception) -> str:
    return (
        error.messages[0] if isinstance(error, ValidationError) else f"{error} Nothing was changed."
    )


def _is_open(key: ApiKey, verb: str) -> bool:
    return key.state == "active" or (verb == "revoke" and key.usable)


def _why_not(key: ApiKey, verb: str) -> str:
    """Why a key is not among those that are rotated or revoked."""
    return f"you may not {verb} {key.kind} keys" if _is_open(key, verb) else key.state


def _why_none(keys: list[ApiKey], verb: str) -> str:
    if any(_is_open(key, verb) for key in keys):
        return f"you may not {verb} keys of these kinds."
    return "each has ended or is rotated already."


def _list_url() -> str:
    return reverse("admin:providers_apikey_changelist")
