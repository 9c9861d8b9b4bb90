"""The content of a message or a tool's output: Responses parts as chat's. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.translation.documents import PdfTexts, document, is_pdf, unseen
from gateway.translation.responses import reading, sealing

Part = dict[str, Any]

_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_DETAILS = ("auto", "low", "high")
_FILE = "input_file"


@dataclass(frozen=True, slots=True)
class Said:
    content: str | list[Part] = field(repr=False)
    unseen: str | None = None
    """The place of its first part, if the model can see none of its parts."""

    @property
    def text(self) -> str:
        """All its texts, each on a line of its own."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part["text"] for part in self.content if part["type"] == "text")

    @property
    def media(self) -> list[Part]:
        """Its images and sounds."""
        if isinstance(self.content, str):
            return []
        return [part for part in self.content if part["type"] != "text"]


def content(value: Any, param: str, pdfs: PdfTexts) -> Said:
    """What a user, a system or a tool says. Raises InvalidRequest for what are no parts."""
    if isinstance(value, str):
        return Said(value)
    listed = _listed(value, param)
    made = [_part(part, f"{param}[{at}]", pdfs) for at, part in enumerate(listed)]
    is_unseen = bool(made) and not any(is_seen for _, is_seen in made)
    return Said([part for part, _ in made], f"{param}[0]" if is_unseen else None)


def spoken(value: Any, param: str) -> str:
    """What the assistant said: its texts, without parts of other kinds."""
    if value is None or isinstance(value, str):
        return value or ""
    return "".join(_spoken(part, f"{param}[{at}]") for at, part in enumerate(_listed(value, param)))


def _listed(value: Any, param: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        reading.refuse(param, f"`{param}` must be a string or a list of parts.")
    return [reading.mapping(part, f"{param}[{at}]") for at, part in enumerate(value)]


def _spoken(part: dict[str, Any], param: str) -> str:
    kind = part.get("type")
    if isinstance(kind, str) and kind in _TEXTS:
        return reading.text(part.get(_TEXTS[kind]), f"{param}.{_TEXTS[kind]}")
    text = part.get("text")
    return text if isinstance(text, str) else ""


def _part(part: dict[str, Any], param: str, pdfs: PdfTexts) -> tuple[Part, bool]:
    """The part for the server, and whether the model sees what the client put there."""
    kind = part.get("type")
    if kind == _FILE:
        return _file(part, pdfs)
    if not isinstance(kind, str) or kind not in _MAKING:
        text = part.get("text")
        return (
            _text(text)
            if isinstance(text, str)
            else _unseen(f"part of the type {reading.quoted(kind)}")
        )
    return _MAKING[kind](part, param)


def _text(text: str) -> tuple[Part, bool]:
    return {"type": "text", "text": text}, True


def _unseen(what: str, name: Any = None) -> tuple[Part, bool]:
    line = unseen(what, name if isinstance(name, str) else None)
    return {"type": "text", "text": line}, False


def _said(part: dict[str, Any], param: str) -> tuple[Part, bool]:
    member = _TEXTS[part["type"]]
    return _text(reading.text(part.get(member), f"{param}.{member}"))


def _image(part: dict[str, Any], param: str) -> tuple[Part, bool]:
    if part.get("image_url") is None and part.get("file_id") is not None:
        return _unseen("image", part["file_id"])
    url = {"url": reading.text(part.get("image_url"), f"{param}.image_url")}
    if part.get("detail") in _DETAILS:  # vLLM never makes an image smaller unasked
        url["detail"] = part["detail"]
    return {"type": "image_url", "image_url": url}, True


def _audio(part: dict[str, Any], param: str) -> tuple[Part, bool]:
    given = part.get("input_audio")
    audio = given if isinstance(given, dict) else {}
    data, form = audio.get("data"), audio.get("format")
    if not isinstance(data, str) or not isinstance(form, str):
        return _unseen("audio recording", part.get("file_id"))
    return {"type": "input_audio", "input_audio": {"data": data, "format": form}}, True


def _file(part: dict[str, Any], pdfs: PdfTexts) -> tuple[Part, bool]:
    """A file with text is told as its text, below its name."""
    name, data = part.get("filename"), part.get("file_data")
    if not isinstance(data, str):
        return _unseen("file", name or part.get("file_url") or part.get("file_id"))
    named = name if isinstance(name, str) and name else None
    text, is_seen = document(*_split(data), named, pdfs)
    return {"type": "text", "text": f"{named}\n{text}" if is_seen and named else text}, is_seen


def pdfs_in(value: Any) -> Iterator[str]:
    """Every PDF in a decoded `input`, in base64; one may come twice."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            left += (each.get("content"), each.get("output"))
            data = each.get("file_data") if each.get("type") == _FILE else None
            if isinstance(data, str) and is_pdf(*_split(data)):
                yield _split(data)[0]


def _split(data: str) -> tuple[str, str | None]:
    """The base64 in `data`, and its media type: of a data URL, or of base64 alone."""
    if not data.startswith("data:"):
        return data, None
    head, _, encoded = data.removeprefix("data:").partition(",")
    return encoded, head.split(";", 1)[0].strip().lower() or None


def _encrypted(part: dict[str, Any], param: str) -> tuple[Part, bool]:
    """Plain text, unless the server that the client talked to did encrypt it."""
    text = part.get("encrypted_content")
    if not isinstance(text, str) or sealing.is_opaque(text):
        return _unseen("encrypted text")
    return _text(text)


_MAKING: Mapping[str, Callable[[dict[str, Any], str], tuple[Part, bool]]] = {
    **dict.fromkeys(_TEXTS, _said),
    "input_image": _image,
    "input_audio": _audio,
    "encrypted_content": _encrypted,
}
