"""What the tests of the admin and of discovery stand on."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from providers import discovery
from tests.patience import NEVER_SECONDS


@pytest.fixture
def admin_user(db: Any) -> User:
    """The superuser behind `admin_client`, without a password: making one costs a third second."""
    return User.objects.create_superuser("admin")


@pytest.fixture(autouse=True)
def unhurried_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """No busy machine makes discovery give a server up."""
    monkeypatch.setattr(discovery, "TOTAL_SECONDS", NEVER_SECONDS)
    monkeypatch.setattr(discovery, "SPEC_SECONDS", NEVER_SECONDS / 2)
