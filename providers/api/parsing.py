"""Request bodies: JSON only, and no more of it than Django takes of a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import msgspec
from django.conf import settings
from rest_framework.parsers import BaseParser

from providers.api.errors import BodyTooLarge, InvalidJson


class Json(BaseParser):
    """Stricter than the framework's: UTF-8 only, no NaN, bounded in length and depth."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise BodyTooLarge(f"The body is over {most} bytes.")
        try:
            return msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            # The decoder's words would be safe to repeat, but a traceback holds the body.
            raise InvalidJson(f"The body is not JSON: {type(error).__name__}.") from None
