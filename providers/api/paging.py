"""Lists come in pages: ?limit= and ?offset=."""

from __future__ import annotations

from rest_framework.pagination import LimitOffsetPagination


class Pages(LimitOffsetPagination):
    default_limit, max_limit = 100, 500
