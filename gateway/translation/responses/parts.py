"""The content of a message or a tool's output: Responses parts as chat's. Pure."""

from __future__ import annotations

from typing import Any

from gateway.translation.responses import reading

_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_DETAILS = ("auto", "low", "high")
_NOT_SAID = "vLLM's chat completions take text, images and audio"


def content(value: Any, param: str) -> str | list[dict[str, Any]]:
    """What a user, a system or a tool says."""
    if isinstance(value, str):
        return value
    return [_part(part, f"{param}[{at}]") for at, part in enumerate(_listed(value, param))]


def spoken(value: Any, param: str) -> str:
    """What the assistant said: text only."""
    if isinstance(value, str):
        return value
    return "".join(_text(part, f"{param}[{at}]") for at, part in enumerate(_listed(value, param)))


def _listed(value: Any, param: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        reading.refuse(param, f"`{param}` must be a string or a list of parts.")
    return [reading.mapping(part, f"{param}[{at}]") for at, part in enumerate(value)]


def _text(part: dict[str, Any], param: str) -> str:
    kind = part.get("type")
    member = _TEXTS.get(kind) if isinstance(kind, str) else None
    if member is None:
        said = reading.quoted(kind)
        reading.refuse(f"{param}.type", f"An assistant's message has no part of the type {said}.")
    return reading.text(part.get(member), f"{param}.{member}")


def _part(part: dict[str, Any], param: str) -> dict[str, Any]:
    kind = part.get("type")
    if isinstance(kind, str) and kind in _TEXTS:
        return {"type": "text", "text": _text(part, param)}
    if kind == "input_image":
        return _image(part, param)
    if kind != "input_audio":
        said = reading.quoted(kind)
        reading.refuse(f"{param}.type", f"A part of the type {said} cannot be sent: {_NOT_SAID}.")
    return {
        "type": "input_audio",
        "input_audio": _audio(part.get("input_audio"), f"{param}.input_audio"),
    }


def _image(part: dict[str, Any], param: str) -> dict[str, Any]:
    if part.get("file_id") is not None:
        reading.refuse(
            f"{param}.file_id", "Files are not kept here: send the image as `image_url`."
        )
    url = {"url": reading.text(part.get("image_url"), f"{param}.image_url")}
    detail = part.get("detail")
    if detail is None or detail == "original":  # vLLM never makes an image smaller unasked
        return {"type": "image_url", "image_url": url}
    reading.one_of(detail, f"{param}.detail", _DETAILS, "vLLM knows no other")
    return {"type": "image_url", "image_url": {**url, "detail": detail}}


def _audio(value: Any, param: str) -> dict[str, Any]:
    audio = reading.mapping(value, param)
    return {name: reading.text(audio.get(name), f"{param}.{name}") for name in ("data", "format")}
