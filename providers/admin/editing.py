"""What every page does that changes rows: the whole request is one change of locked rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from django.contrib.messages import get_messages
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from providers.admin.base import SafeAdmin
from providers.admin.versions import versioned
from providers.transactions import edit, locked, retried

T = TypeVar("T")


def edited(request: HttpRequest, view: Callable[[], T]) -> T:
    """The answer of `view`, which changes all that it changes or nothing: it is called again where
    its change gave way to another's."""
    return retried(partial(_edited, request, view))


@edit()
def _edited(request: HttpRequest, view: Callable[[], T]) -> T:
    said: list[Any] = getattr(get_messages(request), "_queued_messages", [])
    before = len(said)
    try:
        return view()
    except Exception:  # whatever failed, nothing was done, so nothing of it is told
        del said[before:]
        raise


class EditingAdmin(SafeAdmin):
    """The pages that Django brings, for rows that somebody else may be changing."""

    change_form_before_template = "admin/version.html"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list and, sent to it, the actions on the rows chosen there."""
        return self.editing(super().changelist_view)(request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        view = self.editing(super().changeform_view)
        return view(request, object_id, form_url, extra_context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self.editing(super().delete_view)(request, object_id, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **options: Any) -> Any:
        form = super().get_form(request, obj, *args, **options)
        return form if obj is None else versioned(form)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Of a row that is there only what was edited, and nothing where nothing was."""
        columns = {column.name for column in self.opts.concrete_fields}
        edited = [name for name in form.changed_data if name in columns]
        if not change:
            obj.save()
        elif edited:
            obj.save(update_fields=edited)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """The row as it is now; where it is to be changed, nobody else changes it meanwhile."""
        found = super().get_object(request, object_id, from_field)
        if found is None or request.method != "POST" or not connection.in_atomic_block:
            return found
        self.lock([found])
        return super().get_object(request, object_id, from_field)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.lock([obj], to_delete=True)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.lock(queryset, to_delete=True)
        super().delete_queryset(request, queryset)

    def editing(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """`view`, where what is POSTed to it is one change. It asks no server: rows stay locked."""

        def whole(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            asked = partial(view, request, *args, **kwargs)
            return edited(request, asked) if request.method == "POST" else asked()

        return whole

    def lock(self, rows: Iterable[Model], *, to_delete: bool = False) -> list[Any]:
        """The rows as they are now, in the order of their keys; nobody else changes them until the
        transaction ends."""
        chosen = self.model._default_manager.filter(pk__in=[row.pk for row in rows])
        return list(locked(chosen, to_delete=to_delete))
