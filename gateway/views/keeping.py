"""A Watcher that keeps the response it sees go by."""

from __future__ import annotations

from collections.abc import Callable

from gateway import sse
from gateway.memory import Memory
from gateway.state.backlog import Entry
from gateway.state.store import Store
from gateway.state.values import Copy
from gateway.translation.responses import Final, Watch, final, unstored

KEPT = frozenset({"completed", "incomplete"})
"""A call that failed leaves nothing."""
MOST_WHOLE_BYTES = sse.MOST_EVENT_BYTES
MOST_LOOKS = 16
"""A piece of a plain answer that ends in a brace may be its last, so all that there is is read to
see; so many times at most before the answer's end."""


class Keeping:
    """Keeps the response before its last piece goes out: the client's next call finds it, at any
    process. That piece alone waits for it, and no longer than `Store.until_safe` has it.

    It never fails. An answer that is too long to be held is not kept, but counted.
    """

    def __init__(
        self, store: Store, copy_of: Callable[[Final], Copy], memory: Memory | None = None
    ) -> None:
        self._store, self._copy_of, self._memory = store, copy_of, memory
        self._watch: Watch | None = None
        self._whole = bytearray()
        self._looks = 0
        self._is_done = False
        self._entry: Entry | None = None
        self._found: Copy | None = None
        self._missed = ""

    @property
    def held_bytes(self) -> int:
        return len(self._whole) if self._watch is None else self._watch.held_bytes

    def begin(self, *, streamed: bool) -> None:
        self._watch = Watch() if streamed else None

    def feed(self, piece: bytes) -> None:
        if self._is_done:
            return
        if self._watch is not None:
            self._watch.feed(piece)
            if self._watch.response is not None:
                self._keep(self._watch.response)
        else:
            self._feed_whole(piece)

    def end(self) -> None:
        if self._watch is None and not self._is_done:
            self._keep(bytes(self._whole))
        if not self._is_done:
            self._missed = "no response could be read in an answer"

    def settle(self) -> None:
        found, self._found = self._found, None
        if found is not None:
            self._entry = self._kept(found)
        missed, self._missed = self._missed, ""
        if missed:
            self._store.miss(missed)

    def _kept(self, copy: Copy) -> Entry | None:
        """It counts as held while it waits in memory. Without the memory for it, it is not kept."""
        if self._memory is not None and not self._memory.has_room(copy.size_bytes):
            self._missed = "there is no memory to hold it until it is written"
            return None
        entry = self._store.keep(copy)
        if self._memory is not None and not entry.unheld.is_set():
            self._memory.hold_until(entry.unheld, copy.size_bytes)
        return entry

    @property
    def holds(self) -> bool:
        return self._entry is not None

    async def release(self, piece: bytes) -> bytes:
        """Where the response is not kept after all, it says `store` false, if the whole of it is in
        this piece."""
        entry, self._entry = self._entry, None
        if entry is None:
            return piece
        await self._store.until_safe(entry)
        return unstored(piece, streamed=self._watch is not None) if entry.lost else piece

    def _feed_whole(self, piece: bytes) -> None:
        self._whole += piece
        if len(self._whole) > MOST_WHOLE_BYTES:
            self._is_done = True
            self._whole.clear()
            self._missed = "longer than an answer may be to be kept"
        elif piece.endswith(b"}") and self._looks < MOST_LOOKS:
            self._looks += 1
            self._keep(bytes(self._whole))

    def _keep(self, body: bytes) -> None:
        said = final(body)
        if said is None:
            return
        self._is_done = True
        self._whole.clear()
        if said.status in KEPT:
            self._found = self._copy_of(said)
