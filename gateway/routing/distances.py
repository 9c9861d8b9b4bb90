"""How far a session is from each server of a tier: it belongs to the nearest. Pure.

This is rendezvous hashing (Thaler and Ravishankar, 1998): each distance comes of the session and one
server alone, so a server that comes or goes moves its own sessions and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from struct import Struct
from uuid import UUID

SPAN = 2**32
"""Of keys, seeds and distances."""


class Distances:
    """Of servers with these `seeds`, which `seed` makes, and `weights`: one of double weight is the
    nearest to double the sessions."""

    def __init__(self, seeds: Sequence[int], weights: Sequence[float]) -> None:
        self._packed = sum(number << 64 * place for place, number in enumerate(seeds))
        self._lower_halves = Struct("<" + "I4x" * len(seeds))
        is_even = len(set(weights)) == 1
        self._roots = () if is_even else tuple(max(weights) / weight for weight in weights)

    def of(self, key: int) -> Sequence[float]:
        """From 0 to SPAN, by the servers' places; `key` is below SPAN.

        The key times a seed, modulo SPAN, spreads the keys evenly (Weyl, 1916). All products are
        taken as one, of a number in which each seed has 64 bits to itself: for 200 servers that
        takes a third of the time. One minus the distance, to the power of the server's root, heeds
        the weights (Schindelhauer, Schomaker, 2005).
        """
        products = (key * self._packed).to_bytes(self._lower_halves.size, "little")
        found = self._lower_halves.unpack(products)
        if not self._roots:
            return found
        each = zip(found, self._roots, strict=True)
        return [SPAN * (1.0 - (1.0 - distance / SPAN) ** root) for distance, root in each]


def seed(provider: UUID) -> int:
    """From the provider's id, so that neither a new name nor a new address moves any session. Odd:
    times an even number, not every key would have a distance of its own."""
    digest = hashlib.blake2b(provider.bytes, digest_size=4).digest()
    return int.from_bytes(digest, "big") | 1
