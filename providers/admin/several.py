"""A page on which many servers are pasted: a preview of what each line becomes, then all or none."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.crypto import salted_hmac
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextareaWidget

from providers import pasted
from providers.admin.history import ObjectHistory
from providers.admin.kept_keys import MOST_SEALED_CHARACTERS, Keeper
from providers.models import Provider
from providers.pasted import MOST_SERVERS, Line
from providers.transactions import edit, retried

MOST_CHARACTERS = 200_000
EXAMPLE = "http://gpu-1:8000\ngpu-2 http://10.0.0.2:8000/v1 the-key-of-gpu-2"


class PastedForm(forms.Form):
    """The lines, with the keys of those shown before, sealed; and which preview was looked at."""

    servers = forms.CharField(
        label="Servers, one a line",
        max_length=MOST_CHARACTERS,
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 12, "placeholder": EXAMPLE}),
        help_text="A URL; a name may stand before it, and its API key behind it. Without a name, one"
        " is made from the host.",
    )
    kept_keys = forms.CharField(
        required=False, max_length=MOST_SEALED_CHARACTERS, widget=forms.HiddenInput
    )
    previewed = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def forget(self) -> None:
        """Do not show again what was sent, which is empty or too long: keys may stand in it."""
        self.data = QueryDict()


class SeveralServers(ObjectHistory):
    actions_list = ("add_several",)

    @action(
        description="Add several servers",
        url_path="add-several",
        icon="playlist_add",
        permissions=["add"],
    )
    def add_several(self, request: HttpRequest) -> HttpResponse:
        """The page. What is added is what the last preview has shown, or nothing."""
        form = PastedForm(request.POST or None)
        if not form.is_valid():
            form.forget()
            return self._page(request, form)
        keeper = Keeper(request.session.session_key or "", "several servers")
        kept = _kept(keeper, form.cleaned_data["kept_keys"])
        lines = _checked(form.cleaned_data["servers"], kept)
        digest = _digest(lines)
        is_sound = lines and not any(line.mistake for line in lines)
        is_confirmed = "_add" in request.POST and form.cleaned_data["previewed"] == digest
        if is_sound and is_confirmed and self._added(request, lines):
            return HttpResponseRedirect(reverse("admin:providers_provider_changelist"))
        text, keys = pasted.masked(form.cleaned_data["servers"], kept)
        carried = {
            "servers": text,
            "kept_keys": keeper.seal(msgspec.json.encode(keys).decode()) if keys else "",
            "previewed": digest,
        }
        return self._page(request, PastedForm(initial=carried), lines, ready=bool(is_sound))

    def _added(self, request: HttpRequest, lines: list[Line]) -> bool:
        """Add all servers, or none and say so."""
        try:
            retried(partial(self._add_all, request, lines))
        except IntegrityError:
            text = "Another change came first, so nothing was added. Look at the preview again."
            self.message_user(request, text, messages.ERROR)
            return False
        self.message_user(
            request, f"{len(lines)} added. They are asked for their models now.", messages.SUCCESS
        )
        return True

    @edit()
    def _add_all(self, request: HttpRequest, lines: list[Line]) -> None:
        for line in lines:
            self._add(request, line)

    def _add(self, request: HttpRequest, line: Line) -> None:
        provider = _provider(line)
        provider.save()
        self.log_addition(request, provider, [{"added": {}}])

    def _page(
        self, request: HttpRequest, form: PastedForm, lines: list[Line] | None = None, **more: Any
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Add several servers",
            "form": form,
            "lines": lines,
            "mistakes": sum(bool(line.mistake) for line in lines or ()),
            "back_url": reverse("admin:providers_provider_changelist"),
            **more,
        }
        return TemplateResponse(request, "admin/providers/provider/several.html", context)


def _kept(keeper: Keeper, sealed: str) -> list[str]:
    opened = keeper.open(sealed) if sealed else None
    return msgspec.json.decode(opened, type=list[str]) if opened else []


def _checked(text: str, kept: list[str]) -> list[Line]:
    """What each line becomes, as the model judges it, too."""
    lines = pasted.read(text, kept)
    if len(lines) > MOST_SERVERS:
        mistake = f"At most {MOST_SERVERS} servers are added at once."
        return [Line(lines[MOST_SERVERS].number, mistake=mistake)]
    taken = dict(Provider.objects.values_list("name", "base_url"))
    return [_judged(line) for line in pasted.named(lines, taken)]


def _judged(line: Line) -> Line:
    if line.mistake:
        return line
    try:
        _provider(line).clean_fields()
    except ValidationError as error:
        return replace(line, mistake=" ".join(error.messages))
    return line


def _provider(line: Line) -> Provider:
    provider = Provider(name=line.name, base_url=line.base_url)
    provider.api_key = line.key
    return provider


def _digest(lines: list[Line]) -> str:
    """Of what would be added, keys as well: keyed, so that nobody can try keys on it."""
    added = [(line.name, line.base_url, line.key, line.mistake) for line in lines]
    told = msgspec.json.encode(added)
    return salted_hmac("providers.several", told, algorithm="sha256").hexdigest()
