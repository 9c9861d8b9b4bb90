"""How far a session is from each server of a tier: it belongs to the nearest. Pure.

This is rendezvous hashing (Thaler and Ravishankar, 1998): each distance comes of the session and one
server alone, so a server that comes or goes moves its own sessions and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import log1p
from struct import Struct
from uuid import UUID

KEY_BYTES = 4
"""Of keys and seeds. A product of two fits into one 64-bit lane of `Distances`."""
SPAN = 2 ** (8 * KEY_BYTES)


class Distances:
    """Of servers with these `seeds`, which `seed` makes, and `weights`: one of double weight is the
    nearest to double the sessions."""

    def __init__(self, seeds: Sequence[int], weights: Sequence[float]) -> None:
        self._lower_halves = Struct("<" + "I4x" * len(seeds))
        self._packed = int.from_bytes(self._lower_halves.pack(*seeds), "little")
        self._weights = weights
        self._is_even = len(set(weights)) == 1

    def of(self, key: int, numbers: Sequence[int]) -> Sequence[float]:
        """From 0, the nearest, for the servers of these places, in their order; `key` is below SPAN.

        The key times a seed, modulo SPAN, spreads the keys evenly (Weyl, 1916). All products are
        taken as one, of a number in which each seed has 64 bits to itself: for 200 servers that
        takes a third of the time of 200 products. For weights the distance is taken as the time
        until something happens by chance, and it happens to one of double weight twice as often
        (the logarithmic method of Schindelhauer and Schomaker, 2005).
        """
        products = (key * self._packed).to_bytes(self._lower_halves.size, "little")
        found: Sequence[int] = self._lower_halves.unpack(products)
        if len(numbers) < len(found):
            found = [found[number] for number in numbers]
        if self._is_even:
            return found
        each = zip(found, numbers, strict=True)
        return [-log1p(-distance / SPAN) / self._weights[number] for distance, number in each]


def seed(provider: UUID) -> int:
    """From the provider's id, so that neither a new name nor a new address moves any session. Odd:
    times an even number, not every key would have a distance of its own."""
    digest = hashlib.blake2b(provider.bytes, digest_size=KEY_BYTES).digest()
    return int.from_bytes(digest, "big") | 1
