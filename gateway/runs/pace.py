"""How often, and for how long, things are done for what runs in the background. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds. Only tests set others."""

    run_seconds: float = 6 * 3600.0
    """A run that takes longer is failed."""
    batch_seconds: float = 0.25
    """What a run tells is written this often, or sooner."""
    beat_seconds: float = 1.0
    """The lease is renewed this often, and so a cancel that another process was asked for is seen."""
    linger_seconds: float = 1.0
    """What a server gets to end its stream after its last event, so that its connection can be kept."""
    finish_pauses_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
    """Before each further try to write an end; after the last one it is lost."""
    stop_seconds: float = 5.0
    """What those that run get to fail when the process stops."""
    poll_seconds: float = 0.25
    """The database is asked this often what a run of another process has told."""
    keep_alive_seconds: float = 15.0
    """A reader of a silent run hears something this often."""
    cancel_seconds: float = 3.0
    """What the process that generates a response gets to end it, before a cancel is answered."""
    cancel_poll_seconds: float = 0.1
    """The database is asked this often whether it has."""
