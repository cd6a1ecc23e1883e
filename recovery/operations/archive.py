"""`dlq-archive/`: letters that nobody can index, kept for good; and what can be read back from it."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from recovery.operations.dead_letters import DeadLetter, sound
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import ARCHIVE_PREFIX, State, dated, fitting_key
from worker.core.sqs.failure_record import attributes_of, lossless

READERS = 16
"""Records read at once."""
CLAIM_S = 900
"""A restore that has not finished after so long was cut off; another may take over."""


@dataclass(frozen=True, slots=True)
class ArchivedDeadLetter:
    """One archived letter as it is stored."""

    key: str
    dead_letter: DeadLetter
    reason: str
    error_type: str
    archived_at: str
    by: str
    run: str
    queue: str
    """URL of the DLQ it was taken from."""
    restored: dict[str, Any] | None = None
    """By whom, when and where to it is being restored, or was (`done`); None while it is only here."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive in the state bucket. Every method raises StoreError."""

    state: State
    queue: str
    by: str
    run: str

    def put(self, dead_letter: DeadLetter, *, about: str | None, reason: str, error_type: str) -> str:
        """Store a letter; once this returns it is durable. Its key, the same at each repetition.

        `about` is the key of the object it speaks of, if that is known.
        """
        key = archive_key(dead_letter, about)
        record = {
            **lossless(dead_letter.id, dead_letter.body, dead_letter.system, dead_letter.attributes),
            "failure": dead_letter.failure,
            "reason": reason,
            "error_type": error_type,
            "archived_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "by": self.by,
            "run": self.run,
            "queue": self.queue,
        }
        self.state.put(key, orjson.dumps(record))
        return key


def archive_key(dead_letter: DeadLetter, about: str | None) -> str:
    """`dlq-archive/YYYY-MM-DD/<key or message id>-<message id>.json`, dated by when the letter was first sent."""
    return fitting_key(
        f"{ARCHIVE_PREFIX}{dated(dead_letter.sent_ms)}/", about or dead_letter.id, f"-{dead_letter.id}.json"
    )


def read(state: State, key: str) -> ArchivedDeadLetter | None:
    """An archived letter; None where there is none. Raises StoreError, and ValueError for what is none of ours."""
    raw = state.get(key)
    return None if raw is None else _archived(key, orjson.loads(raw))


def read_all(state: State, keys: Iterable[str]) -> Iterator[ArchivedDeadLetter]:
    """The letters under these keys, in order; what is none of ours is logged and passed over. Raises StoreError."""

    def read_one(key: str) -> ArchivedDeadLetter | None:
        try:
            return read(state, key)
        except ValueError as error:
            emit(LogEvent.ARCHIVE_NOT_A_DEAD_LETTER, "warning", name=key, error=str(error))
            return None

    with ThreadPoolExecutor(READERS, thread_name_prefix="archive") as pool:
        batch: list[str] = []
        for key in [*keys, None]:
            if key is not None:
                batch.append(key)
            if batch and (key is None or len(batch) == READERS * 4):
                yield from (archived for archived in pool.map(read_one, batch) if archived is not None)
                batch = []


def claim(state: State, key: str, *, by: str, run: str, to: str) -> tuple[ArchivedDeadLetter, str] | str:
    """Begin to restore a letter: its entry and the claim's etag, or why it must not be. Raises StoreError, ValueError.

    First the claim, then the sending, then `finish`: two restores at once send a letter once, and one that is cut off
    between leaves a claim that another takes over after fifteen minutes; the letter may then be sent twice, never lost.
    """
    found = state.get_with_etag(key)
    if found is None:
        return "it is no longer in the archive"
    record, etag = orjson.loads(found[0]), found[1]
    archived = _archived(key, record)
    earlier = archived.restored or {}
    if earlier.get("done"):
        return f"it was restored already, by {earlier.get('by')} at {earlier.get('at')} to {earlier.get('to')}"
    if earlier and time.time() - _seconds(earlier.get("at")) < CLAIM_S:
        return f"it is being restored by {earlier.get('by')} since {earlier.get('at')}"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record["restored"] = {"done": False, "at": now, "by": by, "run": run, "to": to}
    claimed = state.claim(key, orjson.dumps(record), instead_of=etag)
    return "someone else is restoring it just now" if claimed is None else (_archived(key, record), claimed)


def finish(state: State, key: str, etag: str, *, sent: bool) -> None:
    """End a claim: the letter was sent, or it is only here again. Raises StoreError."""
    found = state.get_with_etag(key)
    if found is None or found[1] != etag:
        return  # another has taken over
    record = orjson.loads(found[0])
    record["restored"] = {**record["restored"], "done": True} if sent else None
    state.claim(key, orjson.dumps(record), instead_of=etag)


def _archived(key: str, stored: Any) -> ArchivedDeadLetter:
    try:
        dead_letter = sound(
            DeadLetter(stored["message_id"], stored["body"], stored["system_attributes"], attributes_of(stored))
        )
        restored = dict(stored["restored"]) if stored.get("restored") else None
        return ArchivedDeadLetter(
            key, dead_letter, stored["reason"], stored["error_type"], stored["archived_at"], stored["by"], stored["run"],
            stored["queue"], restored,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{key} is no record of {ARCHIVE_PREFIX}: {error!r}") from None


def _seconds(moment: Any) -> float:
    try:
        return datetime.fromisoformat(str(moment)).timestamp()
    except ValueError:
        return 0.0
