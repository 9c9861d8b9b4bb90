"""The page behind the link of the first login: a name and a password, and one is in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model, login
from django.contrib.auth.password_validation import validate_password
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from providers import first_login

BACKEND = "django.contrib.auth.backends.ModelBackend"


class FirstLoginForm(forms.Form):
    """Who the first administrator is to be."""

    username = forms.CharField(
        max_length=150,
        initial="admin",
        validators=[get_user_model().username_validator],
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "username"}),
    )
    password = forms.CharField(
        strip=False,
        help_text="Eight characters at least, and none that everybody uses.",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if get_user_model()._default_manager.filter(username=name).exists():
            raise forms.ValidationError("There is somebody of this name already.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "password" in cleaned:
            try:
                validate_password(
                    cleaned["password"], get_user_model()(username=cleaned.get("username", ""))
                )
            except forms.ValidationError as error:
                self.add_error("password", error)
        return cleaned


@never_cache
@sensitive_post_parameters("password")
@csrf_protect
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, token: str) -> HttpResponse:
    """Nothing is made by a GET: chats and mail programs look at links."""
    form = FirstLoginForm(request.POST or None)
    try:
        first_login.check(token)
        if form.is_valid():
            user = first_login.add(
                token, form.cleaned_data["username"], form.cleaned_data["password"]
            )
            login(request, user, backend=BACKEND)
            return redirect("admin:index")
    except first_login.UsedUp:
        return _rendered(request, None, status=403)
    return _rendered(request, form)


def _rendered(
    request: HttpRequest, form: FirstLoginForm | None, *, status: int = 200
) -> HttpResponse:
    """Without a form it says that the link is used up."""
    context = {**admin.site.each_context(request), "title": "The first administrator", "form": form}
    return render(request, "admin/first_login.html", context, status=status)
