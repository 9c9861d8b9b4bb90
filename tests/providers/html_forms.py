"""What a browser would send of a form on a page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class _Reader(HTMLParser):
    """Of the one form with this id."""

    def __init__(self, id: str) -> None:
        super().__init__()
        self._id, self._is_inside = id, False
        self._select, self._text = "", ""
        self.fields: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = found.get("id") == self._id
        if not self._is_inside:
            return
        if tag == "input":
            self._input(found)
        elif tag == "select":
            self._select = found.get("name", "")
        elif tag == "option" and "selected" in found:
            self._add(self._select, found.get("value", ""))
        elif tag == "textarea":
            self._text = found.get("name", "")
            self._add(self._text, "")

    def handle_data(self, data: str) -> None:
        if self._text:
            self.fields[self._text][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.fields[self._text][-1] = self.fields[self._text][-1].removeprefix("\n")
            self._text = ""
        elif tag == "form":
            self._is_inside = False

    def _input(self, found: dict[str, str]) -> None:
        kind = found.get("type", "text")
        is_left_out = kind in {"submit", "button", "file", "search"}
        is_off = kind in {"checkbox", "radio"} and "checked" not in found
        if not is_left_out and not is_off and "disabled" not in found:
            self._add(found.get("name", ""), found.get("value", "on" if kind == "checkbox" else ""))

    def _add(self, name: str, value: str) -> None:
        if name and name != "csrfmiddlewaretoken":
            self.fields.setdefault(name, []).append(value)


def form_on(page: Any, id: str) -> dict[str, Any]:
    """The fields of the form `id` with what stands in them."""
    reader = _Reader(id)
    reader.feed(page.content.decode())
    assert reader.fields, id
    return dict(reader.fields)
