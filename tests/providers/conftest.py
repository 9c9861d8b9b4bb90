"""What the tests of the admin stand on, and a database that threads may share."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections


def pytest_configure(config: pytest.Config) -> None:
    """SQLite in a file, as in earnest: in memory, threads that share it fail instead of waiting."""
    database = connections.settings["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        folder = tempfile.mkdtemp(prefix="aurora-test-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        database["TEST"]["NAME"] = f"{folder}/test.sqlite3"


@pytest.fixture
def admin_user(db: Any) -> User:
    """The superuser behind `admin_client`, without a password: making one costs a third second."""
    return User.objects.create_superuser("admin")
