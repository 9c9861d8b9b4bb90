"""What every page of rows stands on: who looks for rows finds them by what the page offers alone."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from providers.admin import queries
from providers.admin.queries import MOST_SEARCH_CHARACTERS, MOST_SEARCH_WORDS

TOO_LONG = (
    f"A search has at most {MOST_SEARCH_CHARACTERS} characters and {MOST_SEARCH_WORDS} words."
    " Nothing was looked for."
)


class SafeAdmin(ModelAdmin):
    """The base of every admin that is registered.

    Django would take any look-up of any column from an address, also a pattern that stops the
    process, or a hidden column letter by letter; here the look-ups are those of `list_filter`,
    `search_fields` and `date_hierarchy`. What else stands in an address is left out.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        own = queries.filters(self.model, self.get_list_filter(request))
        return lookup in own or lookup in queries.parts_of(self.date_hierarchy)

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return to_field == self.opts.pk.name

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        request.GET = self._taken(request)
        if not queries.may_be_searched(request.GET.get(SEARCH_VAR, "")):
            self.message_user(request, TOO_LONG, messages.WARNING)
        return super().changelist_view(request, extra_context)

    def _taken(self, request: HttpRequest) -> Any:
        day = self.date_hierarchy
        takes = queries.of_list(self.model, self.get_list_filter(request), day)
        takes |= self._words(request)
        found = queries.taken(request.GET, takes)
        if day and not queries.is_a_day(found, day):
            kept = {name: takes[name] for name in takes if not name.startswith(f"{day}__")}
            found = queries.taken(found, kept)
        return found

    def _words(self, request: HttpRequest) -> dict[str, queries.Sound]:
        """The filters that take words of their own, each with those that it offers."""
        return {
            str(each.parameter_name): partial(self._offers, request, each)
            for each in self.get_list_filter(request)
            if isinstance(each, type) and issubclass(each, SimpleListFilter)
        }

    def _offers(self, request: HttpRequest, words: type[SimpleListFilter], value: str) -> bool:
        shown = words(request, {}, self.model, self)
        return value in {str(choice) for choice, _ in shown.lookup_choices}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The form, whose values come from the row alone: none from an address."""
        if "_saveasnew" in request.POST and not self.save_as:
            raise PermissionDenied
        self._take_of_row(request)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._take_of_row(request)
        return super().delete_view(request, object_id, extra_context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._take_of_row(request)
        return super().history_view(request, object_id, extra_context)

    def _take_of_row(self, request: HttpRequest) -> None:
        request.GET = queries.taken(request.GET, queries.of_row(self.model))  # type: ignore[assignment]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Nothing for what is too long to be looked for, whichever page asks."""
        if not queries.may_be_searched(search_term):
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """An action on the rows chosen; what is no row's key was chosen on no page."""
        chosen = request.POST.copy()
        pk, sent = self.opts.pk, chosen.getlist(ACTION_CHECKBOX_NAME)
        keys = [key for key in sent if queries.is_value_of(pk, key)]
        chosen.setlist(ACTION_CHECKBOX_NAME, keys)
        request.POST = chosen  # type: ignore[assignment] # a form as any other
        return super().response_action(request, queryset)
