"""What the tests of the admin stand on."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User


@pytest.fixture
def admin_user(db: Any) -> User:
    """The superuser behind `admin_client`, without a password: making one costs a third second."""
    return User.objects.create_superuser("admin")
