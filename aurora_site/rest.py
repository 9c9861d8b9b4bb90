"""The management API's settings: Django REST framework's, and drf-spectacular's for its schema."""

from __future__ import annotations

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "providers.api.authentication.Key",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["providers.api.permissions.KeyOrStaff"],
    "DEFAULT_PARSER_CLASSES": ["providers.api.parsing.Json"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "providers.api.paging.Pages",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "providers.api.schema.TaggedSchema",
    "EXCEPTION_HANDLER": "providers.api.errors.answer",
    "NON_FIELD_ERRORS_KEY": "",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Aurora's management API",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "SourceEnum": "providers.models.Source",
        "StateEnum": "providers.api.serializers.KEY_STATES",
        "KindEnum": "providers.models.ApiKey.Kind",
        "StandingEnum": "providers.health.Standing",
    },
}
