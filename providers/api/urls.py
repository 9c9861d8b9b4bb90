"""The routes of the management API, below /api/."""

from __future__ import annotations

from django.urls import path, re_path

from providers.api.alias_views import Aliases
from providers.api.views import ApiKeys, Providers, Schema

NAME = r"^providers/(?P<name>[a-z0-9._-]+)"

urlpatterns = [
    path("providers", Providers.as_view({"get": "list", "post": "create"})),
    re_path(
        rf"{NAME}\Z",
        Providers.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    re_path(rf"{NAME}/refresh\Z", Providers.as_view({"post": "refresh"})),
    re_path(rf"{NAME}/test\Z", Providers.as_view({"post": "test"})),
    re_path(rf"{NAME}/consequences\Z", Providers.as_view({"get": "consequences"})),
    re_path(rf"{NAME}/clone\Z", Providers.as_view({"post": "clone"})),
    re_path(rf"{NAME}/follow\Z", Providers.as_view({"post": "follow"})),
    path("aliases", Aliases.as_view({"get": "list", "post": "create"})),
    re_path(
        r"^aliases/(?P<name>[^\x00]+)\Z",
        Aliases.as_view(
            {
                "get": "retrieve",
                "put": "update",
                "patch": "partial_update",
                "delete": "destroy",
            }
        ),
    ),
    path("keys", ApiKeys.as_view({"get": "list", "post": "create"})),
    path("keys/rotate", ApiKeys.as_view({"post": "rotate_many"})),
    path("keys/revoke", ApiKeys.as_view({"post": "revoke_many"})),
    path("keys/<uuid:id>", ApiKeys.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("keys/<uuid:id>/rotate", ApiKeys.as_view({"post": "rotate"})),
    path("keys/<uuid:id>/revoke", ApiKeys.as_view({"post": "revoke"})),
    path("schema", Schema.as_view()),
]
