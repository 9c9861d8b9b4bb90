"""The async face of what callers own: responses and their items, background events, conversations.

Everything is looked up by its owner and its id; what another owner has is unknown. Database work
is done on the threads of three lanes: readings do not wait behind slow writings, nor do leases.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from gateway.errors import InvalidRequest, NotStored
from gateway.state import background, conversations, parcels, responses, retention
from gateway.state.arrivals import Arrivals, check_undeleted
from gateway.state.backlog import Backlog, lost
from gateway.state.lane import Lane
from gateway.state.pages import check_totals, page
from gateway.state.rounds import MORE_SECONDS, repeat
from gateway.state.spool import Spool
from gateway.state.stored_bytes import StoredBytes
from gateway.state.values import (
    MOST_CONTEXT_ITEMS,
    Conversation,
    Copy,
    Kept,
    Order,
    Page,
    StateLimits,
    is_id,
)
from gateway.state.waiting import Entry

ROUND_SECONDS = 60.0
BATCHES_A_ROUND = 100
SPOOL_SECONDS = 0.5
"""What the spool gets to write the last records when the process stops."""
READERS = 3
MOST_REFERENCES = 1000

T = TypeVar("T")
Events = Sequence[tuple[int, bytes]]


class Store:
    """Belongs to one event loop, and never holds it up.

    Every look-up raises StateUnavailable when the database fails or does not answer within
    `limits.state_seconds`, and what is asked for by its id raises Unknown… where it is not there.
    `retention_days` 0: nothing is kept, and what was kept before is removed. `most_bytes_per_owner` 0: one may
    store without a limit. What waits for the database waits in `spool`, and without one in memory
    alone.
    """

    def __init__(
        self,
        retention_days: int,
        limits: StateLimits | None = None,
        *,
        most_bytes_per_owner: int = 0,
        spool: Spool | None = None,
    ) -> None:
        self._days = retention_days
        self._limits = limits = limits or StateLimits()
        self._lease = timedelta(seconds=limits.lease_seconds)
        waiting, seconds = limits.waiting_jobs, limits.state_seconds
        self._reader = Lane("aurora-state-read", threads=READERS, waiting=waiting, seconds=seconds)
        self._writer = Lane("aurora-state-write", threads=1, waiting=waiting, seconds=seconds)
        self._leases = Lane("aurora-state-lease", threads=1, waiting=waiting, seconds=seconds)
        self._backlog = Backlog(
            limits,
            partial(self._writer.run_to_the_end, parcels.write),
            partial(self._writer.run_to_the_end, responses.delete),
            spool,
        )
        self._sums = Lane("aurora-state-sums", threads=1, waiting=1, seconds=seconds)
        sums = partial(self._sums.run_to_the_end, responses.stored_bytes)
        self._stored = StoredBytes(most_bytes_per_owner, sums)
        self._spool = spool
        self._arrivals = Arrivals(self._backlog, spool, self._reader, limits)
        self._tasks: list[asyncio.Task[None]] = []

    def is_full(self, owner: UUID) -> bool:
        """Whether this owner has stored as much as one may, as far as this process knows by now."""
        if not self._stored.is_counting:
            return False
        self.start()
        return self._stored.is_full(owner)

    @property
    def keeps(self) -> bool:
        return self._days > 0

    @property
    def lost(self) -> int:
        """How many copies could not be kept since the start."""
        return self._backlog.losses.count

    def start(self) -> None:
        """Begin what runs beside the calls. Once more does nothing."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._backlog.write_all()),
                asyncio.create_task(repeat(self._remove_old, ROUND_SECONDS)),
                asyncio.create_task(repeat(self._stored.refresh, MORE_SECONDS)),
                asyncio.create_task(repeat(self._end_those_left, self._limits.lease_check_seconds)),
                asyncio.create_task(repeat(self._take_over, self._limits.lease_check_seconds)),
            ]

    async def stop(self, seconds: float = 5.0) -> bool:
        """Write what waits, for as long as `seconds`; the rest stays in the spool. Whether the threads
        have ended as well.

        They do not while a database leaves a question open; they hold up no end of the process.
        """
        is_empty = await self._backlog.emptied(seconds if self._tasks else 0.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._spool is not None:
            await self._spool.close(SPOOL_SECONDS)
        self._backlog.give_up("Aurora was stopped before they were written")
        left = seconds if is_empty else 0.0
        return all(
            [
                await lane.stop(left)
                for lane in (self._reader, self._writer, self._leases, self._sums)
            ]
        )

    def keep(self, copy: Copy) -> Entry:
        """Have `copy` written soon. Returns at once; what cannot be kept is counted in `lost`.

        The other methods know it from now on. An older response with the same id stays instead.
        """
        if not self.keeps:
            return lost(copy, "Aurora keeps no responses")
        self.start()
        self._stored.add(copy.owner, copy.items_bytes)
        return self._backlog.add(copy)

    async def until_safe(self, entry: Entry) -> None:
        """Until the end of its answer may go out: every process finds it in the database, or, while
        that is slow or gone, it is on this disk. It is waited for as `StateLimits` say."""
        await self._backlog.until_safe(entry)

    def miss(self, reason: str) -> None:
        """Count a response of which not even a copy could be made."""
        self._backlog.losses.add(reason)

    async def response(self, owner: UUID, id: str) -> Kept:
        entry = self._backlog.waiting.find(owner, id)
        if entry is not None:
            check_undeleted(entry)
        copy = await self._arrivals.held(entry)
        if copy is None:
            return await self._looked_up(self._reader, responses.read, owner, id)
        return Kept(copy.id, copy.body, copy.status, copy.background)

    async def context(self, owner: UUID, id: str) -> list[bytes]:
        """The items of the whole chain that ends with this response, oldest first.

        Raises InvalidRequest where the response is not finished, or the chain is too long.
        """
        links: list[Copy] = []
        earlier: str | None = id
        while earlier is not None and (entry := self._backlog.waiting.find(owner, earlier)):
            if not links:
                check_undeleted(entry)
            if entry.conversation is not None:  # it began with what only the database knows
                await self._arrivals.gone(entry)
                break
            copy = await self._arrivals.held(entry)
            if copy is None:
                break
            links.append(copy)
            earlier = copy.previous
        look = responses.context_through if links else responses.context
        found = []
        if earlier is not None:
            found = await self._looked_up(self._reader, look, owner, earlier)
        for copy in reversed(links):
            found += [*copy.items, *copy.output]
        check_totals(len(found), sum(map(len, found)), param="previous_response_id")
        return found

    async def items(self, owner: UUID, ids: Sequence[str]) -> dict[str, bytes]:
        """The newest item with each of these ids, of responses and conversations.

        Unknown ids are absent. Raises InvalidRequest for more than MOST_REFERENCES ids, and where
        the items are too large together.
        """
        sought = {id for id in ids if is_id(id)} if self.keeps else set()
        if len(sought) > MOST_REFERENCES:
            raise InvalidRequest(
                f"`input` may refer to {MOST_REFERENCES} items at most.", param="input"
            )
        waiting = {id: self._backlog.waiting.item(owner, id) for id in sought}
        found = {id: item for id, item in waiting.items() if item is not None}
        return found | await self._items_written(owner, sorted(sought - set(found)))

    async def _items_written(self, owner: UUID, ids: Sequence[str]) -> dict[str, bytes]:
        """Those in the database, once all that may hold others of them is there."""
        if not ids:
            return {}
        found = await self._reader.run(responses.items, owner, ids)
        if len(found) < len(ids):
            await self._arrivals.of_owner(owner)
            found = await self._reader.run(responses.items, owner, ids)
        return found

    async def input_items(
        self,
        owner: UUID,
        id: str,
        *,
        limit: int,
        order: Order,
        after: str | None = None,
        before: str | None = None,
    ) -> Page:
        """Of its own request alone. Raises InvalidRequest where a cursor is no item's id."""
        await self._arrivals.settled(owner, id)

        def read(owner: UUID, id: str) -> Page:
            items = responses.input_of(owner, id)
            return page(items, limit=limit, order=order, after=after, before=before)

        return await self._looked_up(self._reader, read, owner, id)

    async def delete(self, owner: UUID, id: str) -> None:
        """From now on it is unknown. What continues from it still does."""
        entry = self._backlog.waiting.find(owner, id)
        if entry is None:
            await self._looked_up(self._writer, responses.delete, owner, id)
        else:
            check_undeleted(entry)
            await self._backlog.delete(entry)

    async def begin(self, copy: Copy) -> None:
        """A row for what is about to be generated, with a status of RUNNING, leased to this process.

        Raises NotStored; InvalidRequest where there is one with its id, or it has too many items.
        """
        if not self.keeps:
            raise NotStored(
                "Aurora keeps no responses: `background` cannot be used.", param="background"
            )
        if copy.count > MOST_CONTEXT_ITEMS:
            raise InvalidRequest(
                f"`input` may hold {MOST_CONTEXT_ITEMS} items at most in the background.",
                param="input",
            )
        self.start()
        if copy.previous is not None:
            await self._arrivals.settled(copy.owner, copy.previous)
        await self._leases.run(background.begin, copy, self._lease)

    async def beat(
        self,
        owner: UUID,
        id: str,
        *,
        body: bytes | None = None,
        status: str | None = None,
        events: Events = (),
    ) -> bool:
        """Renew the lease, and add events as (sequence_number, SSE bytes). A `status` is of RUNNING.

        True: stop, somebody asked to cancel it, deleted it, or it has been given up. When this
        raises StateUnavailable, the same may be sent again: an event that is there stays.
        """
        work = partial(background.beat, body=body, status=status)
        return await self._leases.run(work, owner, id, events, self._lease)

    async def finish(self, copy: Copy, events: Events = ()) -> None:
        """Its end: nothing changes it any more. May be sent again after StateUnavailable.

        One that was given up meanwhile stays so, which is counted in `lost`; one that was deleted
        stays deleted.
        """
        if not await self._leases.run(background.finish, copy, events):
            self._backlog.losses.add("it was given up before it was finished")

    async def ask_to_cancel(self, owner: UUID, id: str) -> Kept:
        """The response as it is then: its runner learns of it at its next beat.

        What nobody generates any more is cancelled at once; what is final stays as it is. Raises
        InvalidRequest for one that was not made in the background.
        """
        await self._arrivals.settled(owner, id)
        return await self._of_response(self._leases, background.ask_to_cancel, owner, id)

    async def events(
        self, owner: UUID, id: str, after: int, most: int
    ) -> tuple[list[tuple[int, bytes]], bool]:
        """(sequence_number, SSE bytes) in order, as `beat` took them; True once there come no more.

        Those after number `after` (-1: all), at most `most` and about a MiB at a time.
        """
        return await self._of_response(self._reader, background.events, owner, id, after, most)

    async def create_conversation(
        self, owner: UUID, metadata: Mapping[str, str], items: Sequence[bytes] = ()
    ) -> Conversation:
        """Raises NotStored; InvalidRequest where two of `items`, which differ, share an id."""
        if not self.keeps:
            raise NotStored("Aurora keeps no responses: conversations cannot be used.")
        id = f"conv_{uuid.uuid4().hex}"
        return await self._writer.run(conversations.create, owner, id, metadata, items)

    async def conversation(self, owner: UUID, id: str) -> Conversation:
        return await self._of_conversation(self._reader, conversations.read, owner, id)

    async def update_conversation(
        self, owner: UUID, id: str, metadata: Mapping[str, str]
    ) -> Conversation:
        return await self._of_conversation(self._writer, conversations.update, owner, id, metadata)

    async def delete_conversation(self, owner: UUID, id: str) -> None:
        await self._of_conversation(self._writer, conversations.delete, owner, id)

    async def conversation_items(
        self, owner: UUID, id: str, *, limit: int, order: Order, after: str | None = None
    ) -> Page:
        """Raises InvalidRequest where `after` is no item's id."""

        def read(owner: UUID, id: str) -> Page:
            items = conversations.items_of(owner, id)
            return page(items, limit=limit, order=order, after=after, before=None)

        return await self._of_conversation(self._reader, read, owner, id)

    async def add_items(self, owner: UUID, id: str, items: Sequence[bytes]) -> None:
        """Raises InvalidRequest where one has the id of another item; what is there already stays."""
        await self._of_conversation(self._writer, conversations.add, owner, id, items)

    async def item(self, owner: UUID, id: str, item_id: str) -> bytes:
        """Raises UnknownItem."""
        return await self._of_conversation(self._reader, conversations.item, owner, id, item_id)

    async def delete_item(self, owner: UUID, id: str, item_id: str) -> Conversation:
        """Raises UnknownItem."""
        work = conversations.delete_item
        return await self._of_conversation(self._writer, work, owner, id, item_id)

    async def conversation_context(self, owner: UUID, id: str) -> list[bytes]:
        """All its items, oldest first. Raises InvalidRequest where they are too many to continue."""
        return await self._of_conversation(self._reader, conversations.context, owner, id)

    async def _looked_up(
        self, lane: Lane, look: Callable[[UUID, str], T], owner: UUID, id: str
    ) -> T:
        """As `_of_response`, but what is on its way here is waited for."""
        if not self.keeps:
            raise responses.unknown(id)
        return await self._arrivals.looked_up(partial(lane.run, look, owner, id), owner, id)

    async def _of_response(
        self, lane: Lane, work: Callable[..., T], owner: UUID, id: str, *arguments: object
    ) -> T:
        if not self.keeps:
            raise responses.unknown(id)
        return await lane.run(work, owner, id, *arguments)

    async def _of_conversation(
        self, lane: Lane, work: Callable[..., T], owner: UUID, id: str, *arguments: object
    ) -> T:
        """Once all that waits to be added to it is."""
        if not self.keeps:
            raise conversations.unknown(id)
        await self._arrivals.of_conversation(owner, id)
        return await lane.run(work, owner, id, *arguments)

    async def _remove_old(self) -> bool:
        for _ in range(BATCHES_A_ROUND):
            if not await self._writer.run(retention.batch, self._days):
                return False
        return True

    async def _take_over(self) -> bool:
        """Write what processes that are gone have left in the folder of the spool."""
        while self._spool is not None and (left := await self._spool.take_over()) is not None:
            self._backlog.adopt(left)
        return False

    async def _end_those_left(self) -> bool:
        return await self._writer.run(background.end_those_left) == background.ENDED_AT_ONCE
