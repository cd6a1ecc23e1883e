"""Who hears of a dead letter: its owner where only an owner can mend the failure, otherwise those who operate the system."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from recovery.ledger.errors import LedgerError
from recovery.ledger.ledger import Ledger
from recovery.ledger.news import News, Reason
from recovery.ledger.rows import Row
from recovery.manager.notices.channels import Channels
from recovery.manager.notices.owners import Owner, owner_of
from recovery.operations.dead_letters.desk import change_record, owned_by
from worker.core.base.classify import FailureKind, is_transient
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import State
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

OPS = "ops"
"""The recipient that stands for all addresses of NOTIFY_URLS."""
METADATA = "owner"
"""The name of the metadata in which an object names its owner (`x-amz-meta-owner`)."""
LOOKUPS_PER_S = 20
"""Objects that are asked for their owners: notifying must not take requests from those who do the work."""
REST_S = 60.0
"""How long no object is asked after S3 did not answer: each attempt may take minutes."""
PATIENCE_MS = 3_600_000
"""How long news wait for that answer. What takes longer may never come; the prefix then says who is told."""
Metadata = Callable[[str, str], Mapping[str, str]]
"""The user metadata of an object, by bucket and key. Raises StoreError."""


class Router:
    """Finds recipients. For one thread."""

    def __init__(
        self, channels: Channels, owners: Sequence[Owner], metadata: Metadata, desk: "OwnerDesk", stop: threading.Event
    ) -> None:
        self._channels = channels
        self._owners = owners
        self._metadata = metadata
        self._desk = desk
        self._stop = stop
        self._next_lookup = 0.0
        self._rests_until = 0.0

    @property
    def is_resting(self) -> bool:
        """Whether no object is asked for its owner now, because S3 did not answer."""
        return time.monotonic() < self._rests_until

    def recipient(self, one: News, *, now_ms: int) -> str | None:
        """Who hears of it; None: that cannot be said now, because S3 does not answer, and an outage must not decide it.

        An owner that was found is recorded, where nobody owns the dead letter yet.
        """
        if one.reason is not Reason.FAILED or one.row.kind is not FailureKind.USER_ERROR:
            return OPS
        row = one.row
        if row.owner is not None:
            return row.owner if self._channels.reaches(row.owner) else self._by_prefix(row) or OPS
        try:
            found = self._by_metadata(row) or self._by_prefix(row)
        except StoreError:
            return None if now_ms - one.at_ms < PATIENCE_MS else self._by_prefix(row) or OPS
        if found is not None:
            self._desk.record(row, found)
        return found or OPS

    def _by_prefix(self, row: Row) -> str | None:
        owner = owner_of(self._owners, row.bucket, row.object_key or "")
        return owner.name if owner else None

    def _by_metadata(self, row: Row) -> str | None:
        """Whom the object itself names, if that is somebody to whom we may write. Raises StoreError if S3 does not answer."""
        if not row.bucket or not row.object_key:
            return None
        if self.is_resting:
            raise StoreError("S3 has not answered recently", code="ServiceUnavailable")
        self._stop.wait(max(0.0, self._next_lookup - time.monotonic()))
        self._next_lookup = time.monotonic() + 1 / LOOKUPS_PER_S
        try:
            named = self._metadata(row.bucket, row.object_key).get(METADATA, "").strip()
        except StoreError as error:
            if is_transient(error):
                self._rests_until = time.monotonic() + REST_S
                raise
            return None  # the object is gone, or not ours to ask: the prefix says it as well
        return named if self._channels.reaches(named) else None


class OwnerDesk:
    """Records owners: in the dead letter's record first, then in its row."""

    def __init__(self, state: State, ledger: Ledger) -> None:
        self._state = state
        self._ledger = ledger

    def record(self, row: Row, owner: str) -> None:
        """Record the owner, unless somebody has meanwhile. Where that fails, they are notified all the same."""

        def said(stored: StoredDeadLetter) -> StoredDeadLetter:
            return stored if stored.owner else owned_by(owner)(stored)

        try:
            written = change_record(self._state, row.key, said)
            if written is not None and written.owner == owner:
                self._ledger.change(row.identity, version=None, by="notify", action="assign", owner=owner)
        except (StoreError, LedgerError, ValueError) as error:
            emit(LogEvent.NOTICES_OWNER_NOT_RECORDED, "warning", message_id=row.identity, error=str(error))
