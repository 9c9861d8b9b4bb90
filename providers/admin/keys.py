"""API keys: the list, and the pages that issue, rotate and revoke one.

A secret is on one page only, the answer to the POST that made it: it is in no session, message
or redirect, and no cache may keep it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from providers import key_edits
from providers.admin import sources
from providers.admin.bulk_keys import BulkKeys
from providers.admin.key_forms import KIND_HELP, ApiKeyForm, IssueForm, RotateForm, kind_choices
from providers.key_edits import Rotation
from providers.key_rights import NotAllowed
from providers.models import ApiKey, ApiKeyQuerySet

STATES = {
    "active": "success",
    "rotated": "info",
    "expired": "warning",
    "retired": "default",
    "revoked": "danger",
}


class StateFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("usable", "active or rotated"), *((state, state) for state in STATES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        value = self.value()
        return cast(ApiKeyQuerySet, queryset).in_state(value) if value else queryset


class KindFilter(admin.SimpleListFilter):
    title, parameter_name = "kind", "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind) for kind in ApiKey.Kind.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        value = self.value()
        if not value:
            return queryset
        return queryset.filter(kind=value) if value in ApiKey.Kind.values else queryset.none()


@admin.register(ApiKey)
class ApiKeyAdmin(BulkKeys):
    form = ApiKeyForm
    list_display = (
        "name",
        "ending",
        "kind_word",
        "state",
        "made",
        "ends",
        "used",
        "from_where",
    )
    list_filter = (StateFilter, KindFilter, "source")
    list_per_page = 50
    list_fullwidth = True
    search_fields = ("name", "hint")
    fields = ("name", "kind", "expires")
    change_form_outer_before_template = "admin/providers/apikey/status.html"

    @display(description="Kind", ordering="kind")
    def kind_word(self, key: ApiKey) -> str:
        return key.kind

    @display(description="State", label=STATES)
    def state(self, key: ApiKey) -> str:
        return key.state

    @display(description="Ends in")
    def ending(self, key: ApiKey) -> SafeString:
        return format_html('<code class="whitespace-nowrap">{}</code>', key.hint)

    @display(description="Created", ordering="created")
    def made(self, key: ApiKey) -> SafeString:
        return _moment(key.created)

    @display(description="Expires", ordering="expires", empty_value="never")
    def ends(self, key: ApiKey) -> SafeString | None:
        return _moment(key.expires) if key.expires else None

    @display(description="Last used", ordering="last_used", empty_value="never")
    def used(self, key: ApiKey) -> SafeString | None:
        return _moment(key.last_used) if key.last_used else None

    @display(description="From", ordering="source")
    def from_where(self, key: ApiKey) -> SafeString:
        context = {"row": key, "note": sources.key_note(key)}
        return render_to_string("admin/providers/source.html", context)

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """What is over stays as it was, and so does a key of a kind that the user may not issue."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or (obj.usable and obj.kind in self.rights(request).kinds)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "kind":
            kwargs["choices"] = kind_choices(self.rights(request).kinds)
            kwargs["help_text"] = KIND_HELP
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Never: a revoked key is a tombstone, which keeps its secret from coming back."""
        return False

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        found: ApiKey | None = context.get("original")
        context["show_save_and_add_another"] = False
        if found:
            key = ApiKey.objects.select_related("successor", "issued_by").get(pk=found.pk)
            may_change = self.has_change_permission(request)
            context["status"] = {
                "key": key,
                "colour": STATES[key.state],
                "unnamed": sources.key_note(key),
                "rotate_url": _url("rotate", key.pk) if self._may_rotate(request, key) else "",
                "revoke_url": _url("revoke", key.pk) if self._may_revoke(request, key) else "",
                "is_beyond": may_change and key.kind not in self.rights(request).kinds,
                "successor_url": _url("change", key.successor_id) if key.successor_id else "",
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.served("add/", self.editing(self.issue_view), "add"),
            self.served("<uuid:object_id>/rotate/", self.editing(self.rotate_view), "rotate"),
            self.served("<uuid:object_id>/revoke/", self.editing(self.revoke_view), "revoke"),
            *super().get_urls(),
        ]

    @transaction.atomic
    def issue_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            form = IssueForm(kinds=self.rights(request).kinds, initial={"id": uuid4()})
            return self._page(request, "issue", form=form)
        form = IssueForm(request.POST, kinds=self.rights(request).kinds)
        if not form.is_valid():
            return self._page(request, "issue", form=form)
        held = ApiKey.objects.filter(pk=form.cleaned_data["id"]).first()
        if held:
            text = f"{held} was issued already. Its secret cannot be shown again."
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(_url("change", held.pk))
        key, secret = key_edits.issue(self.rights(request), **form.cleaned_data)
        self.log_addition(request, key, "Issued.")
        return self._shown_once(request, key, secret)

    @transaction.atomic
    def rotate_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        key = get_object_or_404(ApiKey, pk=object_id)
        if not self._may_rotate(request, key):
            return self._refused(request, key, "rotated")
        form = RotateForm(request.POST or None, key=key)
        if request.method != "POST" or not form.is_valid():
            keeps_stored = self.rights(request).keeps_stored
            return self._page(request, "rotate", key=key, form=form, keeps_stored=keeps_stored)
        try:
            [made] = key_edits.rotate_all(
                [key.pk], rights=self.rights(request), **form.cleaned_data
            )
        except (ValidationError, NotAllowed) as error:
            text = error.messages[0] if isinstance(error, ValidationError) else str(error)
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(_url("change", key.pk))
        self.log_change(request, made.old, "Rotated.")
        return self._shown_once(request, made.successor, made.secret, made)

    @transaction.atomic
    def revoke_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        key = get_object_or_404(ApiKey, pk=object_id)
        if not self._may_revoke(request, key):
            return self._refused(request, key, "revoked")
        if request.method != "POST":
            return self._page(request, "revoke", key=key, **_lost_with(key))
        [key] = key_edits.revoke_all([key.pk], self.rights(request))
        self.log_change(request, key, "Revoked.")
        self.message_user(request, f"{key} is revoked.", messages.SUCCESS)
        return HttpResponseRedirect(_url("change", key.pk))

    def _may_revoke(self, request: HttpRequest, key: ApiKey) -> bool:
        return key.usable and self.has_revoke_permission(request)

    def _may_rotate(self, request: HttpRequest, key: ApiKey) -> bool:
        return (
            key.state == "active"
            and self.has_change_permission(request, key)
            and self.has_add_permission(request)
        )

    def _refused(self, request: HttpRequest, key: ApiKey, what: str) -> HttpResponse:
        """Back to the key where its state forbids it; 403 where the user may not."""
        if not super().has_change_permission(request, key) or key.state == "active":
            raise PermissionDenied
        text = f"{key} is {key.state}: it cannot be {what}."
        self.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(_url("change", key.pk))

    def _shown_once(
        self, request: HttpRequest, key: ApiKey, secret: str, rotation: Rotation | None = None
    ) -> HttpResponse:
        """The page with the secret. It answers the POST itself, so the secret is kept nowhere."""
        context: dict[str, Any] = {
            "key": key,
            "secret": secret,
            "predecessor": rotation.old if rotation else None,
            "keeps_stored": rotation.keeps_stored if rotation else True,
            "key_url": _url("change", key.pk),
            "example_url": request.build_absolute_uri(
                "/v1/models" if key.may_call else "/api/providers"
            ),
        }
        answer = self._page(request, "secret", **context)
        answer["Cache-Control"] = "no-store"
        return answer

    def _page(
        self,
        request: HttpRequest,
        name: str,
        *,
        key: ApiKey | None = None,
        form: Form | None = None,
        **context: Any,
    ) -> TemplateResponse:
        titles = {
            "issue": "Add API key",
            "rotate": f"Rotate {key}",
            "revoke": f"Revoke {key}",
            "secret": f"The new key: {key}",
        }
        back = _url("change", key.pk) if key else reverse("admin:providers_apikey_changelist")
        context |= {
            **self.admin_site.each_context(request),
            "title": titles[name],
            "opts": self.opts,
            "original": key,
            "key": key,
            "form": form,
            "back_url": back,
        }
        return TemplateResponse(request, f"admin/providers/apikey/{name}.html", context)


def _lost_with(key: ApiKey) -> dict[str, Any]:
    """What ends with `key`, and whether nobody could call, or manage, any more."""
    with_it = key_edits.made_by([key.pk])
    left = ApiKey.objects.exclude(pk__in=[each.pk for each in [key, *with_it]])
    return {
        "made_by_it": with_it,
        "is_last_manager": key.may_manage and not left.in_state("managing").exists(),
    }


def _moment(when: datetime) -> SafeString:
    return format_html('<span class="whitespace-nowrap">{}</span>', f"{when:%Y-%m-%d %H:%M}")


def _url(view: str, pk: UUID) -> str:
    return reverse(f"admin:providers_apikey_{view}", args=[pk])
