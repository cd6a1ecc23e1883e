"""`dlq-archive/`: stores dead letters that are no longer to be processed, reads them, and controls their restoration."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

import orjson

from recovery.operations.records import reading
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import ARCHIVE_PREFIX, State, dated, fitting_key, safe_name
from worker.core.sqs.dead_letter import DeadLetter, Refused

CLAIM_S = 900
"""A restore that has not finished after this many seconds counts as interrupted; another may take over."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """The claim of a restore on an archived dead letter: who sends it to which queue, and whether it was sent."""

    done: bool
    at: str
    by: str
    run: str
    to: str
    """URL of the queue."""

    def as_json(self) -> dict[str, object]:
        """Every field, by name."""
        return {"done": self.done, "at": self.at, "by": self.by, "run": self.run, "to": self.to}

    @classmethod
    def from_json(cls, stored: object) -> Self | None:
        """Read a claim; None if there is none. Raises TypeError if it is invalid."""
        if not stored:
            return None
        if not isinstance(stored, dict):
            raise TypeError("`restored` is not a JSON object")
        return cls(bool(stored.get("done")), *(str(stored.get(name)) for name in ("at", "by", "run", "to")))

    @property
    def is_under_way(self) -> bool:
        """Whether the restore may still be running."""
        try:
            began = datetime.fromisoformat(self.at).timestamp()
        except ValueError:
            began = 0.0
        return not self.done and time.time() - began < CLAIM_S

    @property
    def refusal(self) -> Refused | None:
        """Why another restore must not begin; None if it may."""
        if self.done:
            return Refused(f"it was already restored by {self.by} at {self.at} to {self.to}")
        return Refused(f"{self.by} has been restoring it since {self.at}") if self.is_under_way else None


@dataclass(frozen=True, slots=True)
class ArchivedDeadLetter:
    """An archived dead letter, as it is stored."""

    key: str
    dead_letter: DeadLetter
    reason: str
    error_type: str
    archived_at: str
    by: str
    run: str
    queue: str
    """URL of the DLQ in which it was."""
    restored: Restoration | None = None

    def as_json(self) -> dict[str, object]:
        """The record: the message, and why, when and by whom it was archived."""
        failure = self.dead_letter.failure
        record: dict[str, object] = {
            **self.dead_letter.as_json(),
            "failure": failure.as_json() if failure else {},
            "reason": self.reason,
            "error_type": self.error_type,
            "archived_at": self.archived_at,
            "by": self.by,
            "run": self.run,
            "queue": self.queue,
        }
        return record if self.restored is None else {**record, "restored": self.restored.as_json()}

    @classmethod
    def from_json(cls, key: str, raw: bytes) -> Self:
        """Read a record. Raises ValueError if it is not the record of an archived dead letter."""
        try:
            stored = orjson.loads(raw)
            dead_letter = DeadLetter.from_json(stored)
            texts = {
                name: _text(stored[name]) for name in ("reason", "error_type", "archived_at", "by", "run", "queue")
            }
            return cls(key, dead_letter, **texts, restored=Restoration.from_json(stored.get("restored")))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{key} is not a record of {ARCHIVE_PREFIX}: {error!r}") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a field that describes the archiving is not a string")
    return value


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive in the state bucket, for one run. Every method raises StoreError."""

    state: State
    queue: str
    by: str
    run: str

    def put(self, dead_letter: DeadLetter, *, about: str | None, reason: str, error_type: str) -> str:
        """Store a dead letter durably, and return its key, which is the same each time.

        `about` is the key of the object to which it refers, if that is known.
        """
        key = archive_key(dead_letter, about)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        archived = ArchivedDeadLetter(key, dead_letter, reason, error_type, now, self.by, self.run, self.queue)
        self.state.put(key, orjson.dumps(archived.as_json()))
        return key


def archive_key(dead_letter: DeadLetter, about: str | None) -> str:
    """`dlq-archive/YYYY-MM-DD/<key or message id>-<message id>.json`, dated by when the message was first sent."""
    return fitting_key(
        f"{ARCHIVE_PREFIX}{dated(dead_letter.sent_ms)}/", about or dead_letter.id, f"-{safe_name(dead_letter.id)}.json"
    )


def find(state: State, dead_letter: DeadLetter, about: str | None) -> ArchivedDeadLetter | None:
    """Read what is archived of a dead letter; None if nothing is. Raises StoreError.

    Where the key of its object is not known, as REDACT_FIELDS may hide it, its record is looked for by the id alone.
    """
    key = archive_key(dead_letter, about)
    day, ending = f"{ARCHIVE_PREFIX}{dated(dead_letter.sent_ms)}/", f"-{safe_name(dead_letter.id)}.json"
    named = (one for one in state.keys(day) if one.endswith(ending) and one != key)
    entries = (entry for keys in ([key], named) for entry in read_all(state, keys))
    return next((entry for entry in entries if entry.dead_letter.id == dead_letter.id), None)


def read(state: State, key: str) -> ArchivedDeadLetter | None:
    """Read an archived dead letter; None if there is none. Raises StoreError, and ValueError if the record is invalid."""
    raw = state.get(key)
    return None if raw is None else ArchivedDeadLetter.from_json(key, raw)


def read_all(state: State, keys: Iterable[str]) -> Iterator[ArchivedDeadLetter]:
    """Read the dead letters under these keys, in order. Invalid records are logged and skipped. Raises StoreError."""

    def read_one(key: str) -> ArchivedDeadLetter | None:
        try:
            return read(state, key)
        except ValueError as error:
            emit(LogEvent.ARCHIVE_NOT_A_DEAD_LETTER, "warning", name=key, error=str(error))
            return None

    return reading.read_all(keys, read_one)


# -- the claim of a restore ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to restore one archived dead letter."""

    archived: ArchivedDeadLetter
    etag: str


def claim(state: State, key: str, *, by: str, run: str, to: str) -> Claim | Refused:
    """Claim a dead letter in order to restore it; or return why it must not be restored. Raises StoreError, ValueError.

    A restore claims the dead letter, sends it, and calls `finish`, so that of two restores at once only one sends it. An
    interrupted restore leaves a claim that another can take over after 15 minutes, and the same run at once; the message may
    then be sent twice, but is never lost.
    """
    found = state.get_with_etag(key)
    if found is None:
        return Refused("it is no longer in the archive")
    raw, etag = found
    archived = ArchivedDeadLetter.from_json(key, raw)
    mark = archived.restored
    is_own = mark is not None and mark.run == run and not mark.done  # it goes on with what was interrupted
    if mark is not None and not is_own and (refusal := mark.refusal) is not None:
        return refusal
    now = datetime.now(UTC).isoformat(timespec="seconds")
    claimed = _mark(state, key, raw, Restoration(False, now, by, run, to), instead_of=etag)
    return Refused("another command is restoring it at this moment") if claimed is None else Claim(archived, claimed)


def finish(state: State, claimed: Claim, *, sent: bool) -> None:
    """End a claim. If the message was not sent, it can be restored again. Raises StoreError, ValueError."""
    key = claimed.archived.key
    found = state.get_with_etag(key)
    if found is None or found[1] != claimed.etag:
        return  # another restore has taken over
    raw, etag = found
    mark = ArchivedDeadLetter.from_json(key, raw).restored
    _mark(state, key, raw, replace(mark, done=True) if sent and mark else None, instead_of=etag)


def _mark(state: State, key: str, raw: bytes, restored: Restoration | None, *, instead_of: str) -> str | None:
    """Write the claim into the record, and leave the rest unchanged. Returns the new etag; None if the record has changed."""
    record = {**orjson.loads(raw), "restored": restored.as_json() if restored else None}
    return state.claim(key, orjson.dumps(record), instead_of=instead_of)
