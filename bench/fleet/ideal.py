"""The most that can be found of a trace: what one cache for the whole fleet would, that forgets
nothing. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bench.fleet.cache import BLOCK_TOKENS, PrefixCache, blocks
from bench.fleet.servers import words_of
from bench.fleet.trace import Session, reply

ENDLESS = 2**40


def most_found(sessions: Sequence[Session], warm_seconds: float) -> float:
    """The share, in per cent, of the prompt tokens that are sent from `warm_seconds` on."""
    turns = sorted(
        (at, number, turn)
        for number, session in enumerate(sessions)
        for turn, at in enumerate(session.at)
    )
    cache, found, sent = PrefixCache(ENDLESS), 0, 0
    for at, number, turn in turns:
        session = sessions[number]
        words = words_of(session.messages(turn))
        wanted = blocks(words)
        if at >= warm_seconds:
            found += cache.hits(wanted) * BLOCK_TOKENS
            sent += len(words)
        said = reply(session.questions[turn], session.replies[turn]).split()
        cache.keep(blocks([*words, "<assistant>", *said]))
    return 100 * found / max(1, sent)
