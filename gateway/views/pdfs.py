"""The PDFs that a call holds, read before the call is put for a server that takes text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from gateway.calls import Call
from gateway.surrogates import mended_members
from gateway.translation.documents import NO_PDFS, PdfTexts
from gateway.views.exchange import Exchange, Members


async def read_pdfs(
    exchange: Exchange,
    owner: UUID,
    call: Call,
    members: Members,
    find: Callable[[Members], Sequence[str]],
) -> PdfTexts:
    """The texts of the PDFs that `find` gives of `members`, if the call may come to a translation.

    Raises UnknownModel or UnsupportedEndpoint, and what `find` raises.
    """
    if not _may_be_translated(exchange, call.selector):
        return NO_PDFS
    found = await exchange.offload.run(call.size_bytes, lambda: find(mended_members(members)))
    return await exchange.pdfs.read(found, owner) if found else NO_PDFS


def _may_be_translated(exchange: Exchange, selector: str) -> bool:
    """Where a server's routes are not known, a 404 may send the call another way."""
    native = exchange.endpoint.path
    pool = exchange.pools.find(selector, exchange.fleet.look(), exchange.endpoint.upstream_paths)
    return any(
        way.path != native or native not in (way.provider.routes or ())
        for tier in pool.tiers
        for way in tier.ways
    )
