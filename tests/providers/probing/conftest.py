"""What the tests of probing have in common."""

from __future__ import annotations

import pytest

from providers.probing import probe
from tests.patience import NEVER_SECONDS


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No busy machine makes a look give a server up."""
    monkeypatch.setattr(probe, "HEALTH_SECONDS", NEVER_SECONDS)
    monkeypatch.setattr(probe, "METRICS_SECONDS", NEVER_SECONDS)
