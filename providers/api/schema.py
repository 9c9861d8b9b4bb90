"""What the description of the API says of every route of one row: its tag, and what it is for."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.permissions import SAFE_METHODS

HEADER: Literal["header"] = "header"
IF_MATCH = OpenApiParameter(
    "If-Match",
    location=HEADER,
    description="Tags of which one must be the row's, else 412 and nothing is done; `*`: any.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    location=HEADER,
    description="Tags of answers that the client has: 304 where one is this one.",
)
ETAG = OpenApiParameter(
    "ETag",
    location=HEADER,
    response=[200, 201],
    description="The tag of this answer, for `If-Match` and `If-None-Match`.",
)
FAILED = OpenApiResponse(description="It is no longer as `If-Match` says. Nothing was done.")


class TaggedSchema(AutoSchema):
    """The framework's, with the tags."""

    def get_override_parameters(self) -> list[Any]:
        if not self._is_of_row():
            return list(super().get_override_parameters())
        own = [ETAG, IF_NONE_MATCH] if self.method in SAFE_METHODS else [ETAG, IF_MATCH]
        return [*super().get_override_parameters(), *own]

    def _get_response_bodies(self, *args: Any, **kwargs: Any) -> Any:
        bodies: dict[str, Any] = super()._get_response_bodies(*args, **kwargs)
        if self._is_of_row() and self.method not in SAFE_METHODS:
            bodies["412"] = self._get_response_for_code(FAILED, "412")
        return bodies

    def _is_of_row(self) -> bool:
        return "{" in self.path
