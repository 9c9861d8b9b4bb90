"""How long tests wait."""

from __future__ import annotations

PATIENCE_SECONDS = 60.0
"""For what must come. A machine may be busy; only a hang takes so long."""
NEVER_SECONDS = 600.0
"""For a limit that a test must not reach: longer than anything it waits for."""
