"""Aliases over the management API. Each change is recorded."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from providers.alias_flags import seen_now
from providers.api.alias_serializers import AliasSerializer
from providers.api.base import Uncached
from providers.api.reading import ConsistentReads
from providers.api.recording import change
from providers.models import Alias
from providers.transactions import locked


class Aliases(Uncached, ConsistentReads):
    """Public names that lead to models, by name; a slash in one may be written as it is."""

    queryset = Alias.objects.prefetch_related("targets__alias").order_by("name")
    serializer_class = AliasSerializer
    lookup_field = "name"
    needs = {
        "list": ("providers.view_alias",),
        "retrieve": ("providers.view_alias",),
        "create": ("providers.add_alias",),
        "update": ("providers.change_alias",),
        "partial_update": ("providers.change_alias",),
        "destroy": ("providers.delete_alias",),
    }

    def get_serializer_context(self) -> dict[str, Any]:
        """With `seen`, read once for the answer, as things are by then."""
        return {**super().get_serializer_context(), "seen": cache(seen_now)}

    def create(self, request: Request) -> Response:
        """Add an alias with its targets."""
        with change(request):
            pk = self._save(request)
        return self._answer(pk, 201)

    def update(self, request: Request, name: str) -> Response:
        """Replace an alias: what is left out is as in a new one."""
        with change(request):
            pk = self._save(request, _locked(name))
        return self._answer(pk)

    def partial_update(self, request: Request, name: str) -> Response:
        """Change what is sent. `targets`, if sent, are all the targets it has then."""
        with change(request):
            pk = self._save(request, _locked(name), partial=True)
        return self._answer(pk)

    def destroy(self, request: Request, name: str) -> Response:
        """Remove an alias. What names it as a target means a model of that id from then on."""
        with change(request):
            _locked(name, to_delete=True).delete()
        return Response(status=204)

    def _save(self, request: Request, held: Alias | None = None, partial: bool = False) -> UUID:
        sent = self.get_serializer(held, data=request.data, partial=partial)
        sent.is_valid(raise_exception=True)
        saved: Alias = sent.save()
        return saved.pk

    def _answer(self, pk: UUID, status: int = 200) -> Response:
        """By its key: another may have renamed it by now."""
        return self.told(get_object_or_404(self.get_queryset(), pk=pk), status)


def _locked(name: str, *, to_delete: bool = False) -> Alias:
    return get_object_or_404(locked(Alias.objects.all(), to_delete=to_delete), name=name)
