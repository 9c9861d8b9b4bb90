"""The scripted servers' prefix cache: whole blocks, each with its past, the oldest evicted."""

from __future__ import annotations

from bench.fleet.cache import BLOCK_TOKENS, PrefixCache, blocks


def words(name: str, count: int) -> list[str]:
    return [f"{name}{number}" for number in range(count)]


def test_only_whole_blocks_count() -> None:
    assert len(blocks(words("a", BLOCK_TOKENS - 1))) == 0
    assert len(blocks(words("a", 3 * BLOCK_TOKENS + 5))) == 3


def test_a_block_is_known_with_all_that_stands_before_it() -> None:
    first, other, same = words("a", 16), words("b", 16), words("c", 16)
    assert blocks(first + same)[1] != blocks(other + same)[1]
    assert blocks(first + same) == blocks([*first, *same, "more"])


def test_hits_end_at_the_first_block_that_is_not_held() -> None:
    cache = PrefixCache(100)
    text = words("a", 64)
    cache.keep(blocks(text))
    assert cache.hits(blocks(text)) == 4
    assert cache.hits(blocks([*text[:32], *words("x", 32)])) == 2
    assert cache.hits(blocks(words("x", 64))) == 0


def test_the_least_recently_used_go_first_and_of_a_text_its_end() -> None:
    cache = PrefixCache(4)
    old, new = blocks(words("a", 48)), blocks(words("b", 32))
    cache.keep(old)
    cache.keep(new)
    assert (cache.hits(old), cache.hits(new)) == (2, 2)
    cache.keep(old)
    assert (cache.hits(old), cache.hits(new)) == (3, 1)
