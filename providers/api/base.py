"""What every view of the management API stands on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models import Model
from django.shortcuts import get_object_or_404
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from providers.api import preconditions
from providers.models import ApiKey
from providers.transactions import edit, locked, retried

ASKING = {"refresh", "test"}
"""Actions that ask a server, for which no row may stay locked."""


class Uncached(APIView):
    """No cache keeps an answer: some hold a new secret, and all depend on who asks.

    A change is made only if its `If-Match` allows it. One that gave way to another's is made again:
    whoever made neither need not know.
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = str(request.method).lower()
        if request.method not in SAFE_METHODS and hasattr(self, method):
            setattr(self, method, self._allowed(getattr(self, method)))

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response["Cache-Control"] = "no-store"
        return super().finalize_response(request, response, *args, **kwargs)

    def _allowed(self, action: Callable[..., Response]) -> Callable[..., Response]:
        def once(request: Request, *args: Any, **kwargs: Any) -> Response:
            if not preconditions.are_sent(request.headers):
                return action(request, *args, **kwargs)
            if not kwargs:
                preconditions.check_without_row(request.headers)
                return action(request, *args, **kwargs)
            if getattr(self, "action", "") in ASKING:
                self._check(request, kwargs)
                return action(request, *args, **kwargs)
            with edit():
                self._check(request, kwargs)
                return action(request, *args, **kwargs)

        return lambda *args, **kwargs: retried(partial(once, *args, **kwargs))

    def _check(self, request: Request, place: dict[str, Any]) -> None:
        """Judge the row of the route, locked where there is a transaction: nobody changes it before
        the action has."""
        model: Any = self.queryset.model  # type: ignore[attr-defined] # of those with a row
        chosen = get_object_or_404(model, **place)
        if getattr(self, "action", "") not in ASKING:
            chosen = self._locked(request, model, chosen)
        preconditions.check(request.headers, chosen)

    def _locked(self, request: Request, model: Any, chosen: Model) -> Any:
        """With the key that acts, if it is a key: all lock keys in one order."""
        keys = {chosen.pk}
        if model is ApiKey and isinstance(request.auth, ApiKey):
            keys.add(request.auth.pk)
        to_delete = getattr(self, "action", "") == "destroy"
        rows = {
            row.pk: row for row in locked(model.objects.filter(pk__in=keys), to_delete=to_delete)
        }
        return rows.get(chosen.pk) or get_object_or_404(model, pk=chosen.pk)
