"""What runs on PostgreSQL: the tests that touch a database. The others ran on SQLite, alike."""

from __future__ import annotations

import pytest

from tests.plugins.databases import on_postgres

DATABASES = {"db", "transactional_db", "database", "empty_database", "migrated"}
"""The fixtures that give a test its database."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not on_postgres():
        return
    chosen = [item for item in items if touches_a_database(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def touches_a_database(item: pytest.Item) -> bool:
    marked = item.get_closest_marker("django_db") is not None
    return marked or bool(DATABASES.intersection(getattr(item, "fixturenames", ())))
