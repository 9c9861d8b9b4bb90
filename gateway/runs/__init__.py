"""Responses that are generated in the background: each is a call whose client is the store.

`register` starts and ends them, `run` is what one of them has told so far, `taking` hears what a
client would, `reading` tells it to those who ask, from memory or, made elsewhere, from the store.
"""

from gateway.runs.pace import Pace
from gateway.runs.reading import KEEP_ALIVE, told_after
from gateway.runs.register import MOST_RUNS, Runs, Work
from gateway.runs.run import Ended, Run

__all__ = ["KEEP_ALIVE", "MOST_RUNS", "Ended", "Pace", "Run", "Runs", "Work", "told_after"]
