"""The servers as this process sees them: load, health, places, and how often calls are repeated."""

from gateway.fleet.fleet import Fleet, Patience, Place
from gateway.fleet.lines import LineFull
from gateway.fleet.sight import Sight

__all__ = ["Fleet", "LineFull", "Patience", "Place", "Sight"]
