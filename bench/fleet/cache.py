"""A prefix cache as vLLM's: whole blocks of tokens, each known by all that stands before it, the
least recently used evicted first. Pure. A token is a word here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

BLOCK_TOKENS = 16

Blocks = list[int]


def blocks(words: Sequence[str]) -> Blocks:
    """The whole blocks of a text, by numbers that tell each with its past from all others."""
    numbers, past = [], 0
    for start in range(0, len(words) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        past = hash((past, *words[start : start + BLOCK_TOKENS]))
        numbers.append(past)
    return numbers


class PrefixCache:
    """Holds `most_blocks` at most."""

    def __init__(self, most_blocks: int) -> None:
        self._most = most_blocks
        self._held: OrderedDict[int, None] = OrderedDict()

    def hits(self, wanted: Blocks) -> int:
        """How many blocks from the first on are held."""
        for count, block in enumerate(wanted):
            if block not in self._held:
                return count
        return len(wanted)

    def keep(self, used: Blocks) -> None:
        """The last of a text go first, as they are of use to the fewest."""
        for block in reversed(used):
            self._held[block] = None
            self._held.move_to_end(block)
        while len(self._held) > self._most:
            self._held.popitem(last=False)
