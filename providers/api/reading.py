"""Answers to GET, each of one moment: what they tell of several rows was so at the same time."""

from __future__ import annotations

from typing import Any

from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from providers.api import preconditions
from providers.transactions import consistent_read


class ConsistentReads(ListModelMixin, GenericViewSet[Any]):
    """A list and a row, with all that is told beside them."""

    @consistent_read()
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @consistent_read()
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """304 without a body where the client has this very answer."""
        answer = self.told(self.get_object())
        if preconditions.is_known(request.headers, answer["ETag"]):
            return Response(status=304, headers={"ETag": answer["ETag"]})
        return answer

    def told(self, row: Any, status: int = 200, **more: Any) -> Response:
        """The answer that tells of one row, with its tag."""
        data = self.get_serializer(row).data
        return Response({**data, **more}, status, headers=preconditions.headers(row, data))
