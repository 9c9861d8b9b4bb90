"""The login page: who has failed waits, and a browser that was let in is known again."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.forms import AuthenticationForm

from providers import login_waits, logins
from providers.login_waits import MustWait

KNOWN_SECONDS = 90 * 24 * 3600
COOKIE = f"aurora_browser_{settings.COOKIE_SUFFIX}"
_SALT = "a browser that was let in"
log = logging.getLogger("aurora.logins")


class LoginForm(AuthenticationForm):
    """Django's, which waits after failures. It says so whether there is somebody of the name or not."""

    def clean(self) -> dict[str, Any]:
        name, password = (self.cleaned_data.get(each) for each in ("username", "password"))
        if not name or not password:
            return dict(super().clean())
        address = logins.address_of(self.request)
        browser = _known_browser(self.request, name)
        is_of_several = logins.is_name_of_several(name)
        tried = login_waits.subjects(name, address, browser, is_of_several=is_of_several)
        try:
            begun = login_waits.begin(tried)
        except MustWait as early:
            raise self._wait(name, address, early.seconds) from None
        cleaned = dict(super().clean())
        login_waits.succeed(tried, begun)
        return cleaned

    def _wait(self, name: str, address: str, seconds: int) -> ValidationError:
        fields = {"user": logins.shown_name(name), "client": address, "seconds": seconds}
        log.warning("a login has to wait", extra={"fields": fields})
        unit = "second" if seconds == 1 else "seconds"
        text = f"Too many logins have failed. Wait {seconds} {unit}, then try again."
        return ValidationError(text, code="wait")


# Not by unfold's setting: that is read while the site is made, and this package registers with it.
admin.site.login_form = LoginForm


def page(request: HttpRequest) -> HttpResponse:
    """The site's login page. The answer that lets somebody in makes the browser known for them."""
    answer = admin.site.login(request)
    if request.method == "POST" and answer.status_code == 302 and request.user.is_authenticated:
        answer.set_cookie(
            COOKIE,
            signing.dumps([request.user.get_username(), secrets.token_hex(8)], salt=_SALT),
            max_age=KNOWN_SECONDS,
            path=reverse("admin:login"),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return answer


def _known_browser(request: HttpRequest, name: str) -> str | None:
    """The id of a browser that `name` has logged in with before."""
    try:
        held = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=KNOWN_SECONDS)
        known_name, browser = held
    except (signing.BadSignature, TypeError, ValueError):
        return None
    return str(browser) if known_name == name else None
