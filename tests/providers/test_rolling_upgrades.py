"""The release before goes on writing on the schema of this one, while an installation rolls over.

Its models are those of its last migrations. They know no column that came since: each such column
must have a default of the database's own, or take a null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import Field
from django.utils import timezone

pytestmark = pytest.mark.django_db

RELEASE_BEFORE = [("providers", "0008_login_attempts"), ("gateway", "0001_initial")]
"""Its last migrations. To be moved on when a release is made."""
OURS = {app for app, _ in RELEASE_BEFORE}
NOW = timezone.now()
ROWS: dict[str, dict[str, Any]] = {
    "providers.Provider": {"name": "alpha", "base_url": "http://gpu-1:8000"},
    "providers.Alias": {"name": "chat"},
    "providers.ApiKey": {"name": "old", "digest": "d", "hint": "h", "kind": "master"},
    "providers.Process": {"id": uuid4(), "written": NOW},
    "gateway.StoredConversation": {"owner": uuid4(), "conversation_id": "c", "metadata": "{}"},
    "gateway.StoredResponse": {
        "owner": uuid4(), "response_id": "r", "body": "{}", "status": "completed",
    },
}  # fmt: skip
"""What the release before writes, with its required columns alone."""


@pytest.fixture(scope="module")
def before() -> Any:
    return MigrationLoader(None).project_state(RELEASE_BEFORE).apps


def new_columns(before: Any) -> Iterator[tuple[str, Field[Any, Any]]]:
    known = {model._meta.db_table: model for model in before.get_models()}
    for model in apps.get_models():
        held = known.get(model._meta.db_table)
        if model._meta.app_label in OURS and held is not None:
            had = {field.column for field in held._meta.local_fields}
            for field in model._meta.local_fields:
                if field.column not in had:
                    yield model._meta.label, field


def test_a_new_column_has_a_default_or_takes_a_null(before: Any) -> None:
    lacking = [
        f"{label}.{field.name}"
        for label, field in new_columns(before)
        if not field.null and not field.has_db_default()
    ]

    assert lacking == []


def test_no_table_or_column_of_the_release_before_is_gone(before: Any) -> None:
    with connection.cursor() as cursor:
        for model in before.get_models():
            if model._meta.app_label in OURS and model._meta.managed:
                table = model._meta.db_table
                has = {
                    column.name
                    for column in connection.introspection.get_table_description(cursor, table)
                }
                assert {field.column for field in model._meta.local_fields} <= has, table


@pytest.mark.parametrize("label", ROWS)
def test_the_release_before_writes_changes_and_removes_rows(before: Any, label: str) -> None:
    old, new = before.get_model(label), apps.get_model(label)

    row = old.objects.create(**ROWS[label])

    assert new._base_manager.get(pk=row.pk).pk == row.pk
    old.objects.get(pk=row.pk).save()
    old.objects.filter(pk=row.pk).delete()
    assert not new._base_manager.filter(pk=row.pk).exists()
