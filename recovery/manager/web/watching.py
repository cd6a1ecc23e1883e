"""Follows operations for everybody who looks on: one reading of the ledger at a time, however many they are."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio.to_thread

from recovery.ledger.ledger import Ledger
from recovery.ledger.operations import Operation
from worker.core.base.errors import WorkerError

EVERY_S = 0.5
MAX_VIEWERS = 64
"""Each is a request under way; guard.py has room for others."""
CHECKED_S = 1.0
"""How often a viewer's sign-in is looked at, which may ask the ledger."""
QUEUED = 4
"""Changes that wait for a slow viewer; each says everything, so that the oldest can be left out."""


class TooManyViewersError(Exception):
    """Raised where MAX_VIEWERS look on already."""


class Watch:
    """The viewers of one application; used on its event loop alone."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._viewers: dict[asyncio.Queue[Operation | None], str] = {}
        self._poller: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raises TooManyViewersError."""
        if len(self._viewers) >= MAX_VIEWERS:
            raise TooManyViewersError(f"{MAX_VIEWERS} look on already")

    async def read(self, ids: Sequence[str]) -> list[Operation]:
        """These operations. Raises LedgerError."""
        return await anyio.to_thread.run_sync(self._ledger.operations.many, list(ids))

    async def follow(
        self, operation_id: str, *, after: str | None, goes_on: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Operation]:
        """An operation each time that it has changed, until it has ended, or `goes_on` says no.

        `after`: the time of the change that is known already.
        """
        queue: asyncio.Queue[Operation | None] = asyncio.Queue(QUEUED)
        self._viewers[queue] = operation_id
        try:
            if self._poller is None or self._poller.done():
                self._poller = asyncio.create_task(self._poll())
            seen, checked = after, float("-inf")
            while (one := await queue.get()) is not None:
                if time.monotonic() - checked >= CHECKED_S:
                    if not await goes_on():
                        return
                    checked = time.monotonic()
                if str(one.changed_ms) != seen:
                    seen = str(one.changed_ms)
                    yield one
                if one.ended_ms is not None:
                    return
        finally:
            self._viewers.pop(queue, None)

    async def _poll(self) -> None:
        """Read what is looked at, as long as anybody looks on."""
        while self._viewers:
            try:
                found = {one.id: one for one in await self.read(sorted(set(self._viewers.values())))}
            except WorkerError:
                pass  # it is asked again; the viewers see nothing new meanwhile
            else:
                for queue, operation_id in list(self._viewers.items()):
                    if queue.full():
                        queue.get_nowait()
                    queue.put_nowait(found.get(operation_id))  # None, which ends it, if the ledger has forgotten it
            await asyncio.sleep(EVERY_S)
