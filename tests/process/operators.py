"""Somebody at the admin's pages, over HTTP: logs in, fills forms in, reads what they answer."""

from __future__ import annotations

import re
from typing import Any, Self

import httpx

from tests.loopback import CLIENT
from tests.providers.admin_pages import KEYS, LIST, values

UUID = r"[0-9a-f]{8}-[0-9a-f-]{27}"


class Operator:
    """The superuser, logged in; close it. Every method ends in AssertionError where a page refuses."""

    def __init__(self, url: str, password: str) -> None:
        self._browser = httpx.Client(base_url=url, **CLIENT)
        try:
            self.open("/admin/login/")
            landed = self._send("/admin/login/", username="admin", password=password)
            assert self._cookies("aurora_session_"), landed.text
        except BaseException:
            self._browser.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._browser.close()

    @property
    def session(self) -> str:
        return self._cookies("aurora_session_")[0]

    def open(self, path: str) -> httpx.Response:
        return self._browser.get(path)

    def add_provider(self, **form: Any) -> str:
        """Its id."""
        added = self._send(f"{LIST}add/", **values(**form), _continue="")
        return _found(rf"/provider/({UUID})/change/", added.headers.get("location", ""), added)

    def edit_provider(self, provider: str, **form: Any) -> None:
        self._confirmed(f"{LIST}{provider}/change/", **values(**form))

    def press(self, provider: str, button: str) -> None:
        """One of `enable`, `disable`, `drain` and `take-calls`."""
        self._confirmed(f"{LIST}{provider}/{button}/")

    def id_of(self, name: str) -> str:
        """Of the provider of that name."""
        page = self.open(f"{LIST}?q={name}")
        return _found(rf'href="{LIST}({UUID})/change/[^>]*>{name}<', page.text, page)

    def add_key(self, name: str) -> tuple[str, str]:
        """Its id and its secret."""
        form = self.open(f"{KEYS}add/")
        chosen = _found(rf'name="id" value="({UUID})"', form.text, form)
        return chosen, _secret(self._send(f"{KEYS}add/", id=chosen, name=name))

    def rotate(self, key: str, overlap_seconds: int) -> str:
        """The successor's secret."""
        return _secret(self._send(f"{KEYS}{key}/rotate/", overlap=overlap_seconds))

    def revoke(self, key: str) -> None:
        revoked = self._send(f"{KEYS}{key}/revoke/")
        assert revoked.status_code == 302, revoked.text

    def _confirmed(self, page: str, **sent: Any) -> None:
        """Send it, and confirm where the page asks, because clients would miss something."""
        saved = self._send(page, **sent)
        if asked := re.search(r'name="confirmed" value="([^"]+)"', saved.text):
            saved = self._send(page, **sent, confirmed=asked[1])
        assert saved.status_code == 302, saved.text

    def _cookies(self, beginning: str) -> list[str]:
        """The values of cookies so named: the end of a name is the installation's own."""
        jar = self._browser.cookies.jar
        return [cookie.value or "" for cookie in jar if cookie.name.startswith(beginning)]

    def _send(self, path: str, **form: Any) -> httpx.Response:
        [token] = self._cookies("aurora_csrf_")
        return self._browser.post(path, data={**form, "csrfmiddlewaretoken": token})


def _secret(page: httpx.Response) -> str:
    return _found(r'<code id="secret"[^>]*>([^<]+)</code>', page.text, page)


def _found(pattern: str, text: str, page: httpx.Response) -> str:
    match = re.search(pattern, text)
    assert match, f"{page.status_code}: no {pattern} in {page.text}"
    return match[1]
