"""How many examples Hypothesis tries, and which: `--hypothesis-profile` chooses."""

from __future__ import annotations

from hypothesis import settings

# The machine may be busy: no example is too slow.
settings.register_profile("gate", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile("gate")
