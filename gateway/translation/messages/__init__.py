"""Anthropic's Messages as vLLM's chat completions, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gateway.abilities import NO_ABILITIES, Ability
from gateway.errors import UpstreamBroke
from gateway.translation import CHAT, EventStream, Stamp, Translation
from gateway.translation.chat import TOKENIZE
from gateway.translation.documents import NO_PDFS, PdfTexts
from gateway.translation.messages import answer, request
from gateway.translation.messages.echo import Echo
from gateway.translation.messages.request import check_thread, pdfs
from gateway.translation.messages.stream import MessageStream

__all__ = ["check_thread", "pdfs", "to_chat", "to_tokenize"]


def to_chat(
    members: Mapping[str, msgspec.Raw],
    model: str,
    stamp: Stamp,
    pdfs: PdfTexts = NO_PDFS,
    lacking: frozenset[Ability] = NO_ABILITIES,
) -> Translation:
    """`POST /v1/messages` as a chat completion, without what the server is `lacking`.

    Raises InvalidRequest.
    """
    call = request.to_chat(members, model, pdfs, lacking)
    return _ToChat(call.body, call.uses, model, stamp, call.echo)


def to_tokenize(
    members: Mapping[str, msgspec.Raw],
    model: str,
    pdfs: PdfTexts = NO_PDFS,
    lacking: frozenset[Ability] = NO_ABILITIES,
) -> Translation:
    """`POST /v1/messages/count_tokens` as `/tokenize`. Raises InvalidRequest."""
    call = request.to_tokenize(members, model, pdfs, lacking)
    return _ToTokenize(call.body, call.uses)


@dataclass(slots=True)
class _ToChat:
    body: bytes
    uses: frozenset[Ability]
    model: str
    stamp: Stamp
    echo: Echo
    path: str = CHAT

    def whole(self, answered: bytes) -> bytes:
        return answer.message(answered, self.model, self.stamp, self.echo)

    def stream(self) -> EventStream:
        return MessageStream(self.model, self.stamp, self.echo)


@dataclass(slots=True)
class _ToTokenize:
    body: bytes
    uses: frozenset[Ability]
    path: str = TOKENIZE

    def whole(self, answered: bytes) -> bytes:
        return answer.count(answered)

    def stream(self) -> EventStream:
        raise UpstreamBroke("A count of tokens does not come as a stream.")
