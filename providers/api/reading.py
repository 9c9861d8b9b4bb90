"""Answers to GET, each of one moment: what they tell of several rows was so at the same time."""

from __future__ import annotations

from typing import Any

from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from providers.transactions import consistent_read


class ConsistentReads(ListModelMixin, RetrieveModelMixin):
    """A list and a row, with all that is told beside them."""

    @consistent_read()
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @consistent_read()
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().retrieve(request, *args, **kwargs)
