"""A chat message of a user's or an assistant's in the making."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.translation import raw
from gateway.translation.messages.parts import ImagePart, Part, content_of
from gateway.translation.raw import Json


@dataclass(slots=True)
class Turn:
    role: str
    shown: list[Part] = field(default_factory=list)
    thoughts: list[Json] = field(default_factory=list)
    calls: list[bytes] = field(default_factory=list)
    call_ids: list[str] = field(default_factory=list)
    stands_alone: bool = False
    """A system message: what came before it stays as it was, byte for byte."""

    def joins(self, earlier: Turn) -> bool:
        alone = self.stands_alone or earlier.stands_alone
        return self.role == earlier.role and not alone

    def add(self, later: Turn) -> None:
        self.shown += later.shown
        self.thoughts += later.thoughts
        self.calls += later.calls
        self.call_ids += later.call_ids

    @property
    def is_empty(self) -> bool:
        return not (self.shown or self.thoughts or self.calls)

    @property
    def unseen_at(self) -> str:
        """Where the first of its parts stands, if the model can see none of them."""
        places = ["" if isinstance(part, ImagePart) else part.unseen_at for part in self.shown]
        return places[0] if places and all(places) else ""

    def rendered(self) -> bytes:
        members: dict[str, Json] = {"role": raw.text(self.role)}
        if self.shown or self.is_empty:
            members["content"] = content_of(self.shown)
        if self.thoughts:
            members["reasoning"] = raw.joined(self.thoughts)
        if self.calls:
            members["tool_calls"] = raw.array_of(self.calls)
        return raw.object_of(members)
