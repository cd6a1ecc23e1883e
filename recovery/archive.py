"""`dlq-archive/`: letters that nobody can index, kept for good; and what can be read back from it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from recovery.letters import Letter
from worker.core.envelope import attributes_of, lossless
from worker.core.state import ARCHIVE_PREFIX, State, dated, fitting_key


@dataclass(frozen=True, slots=True)
class Entry:
    """One archived letter as it is stored."""

    key: str
    letter: Letter
    reason: str
    error_type: str
    archived_at: str
    by: str
    run: str
    queue: str
    """URL of the DLQ it was taken from."""
    restored: dict[str, Any] | None = None
    """When and where it was restored to; None while it is only here."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive in the state bucket. Every method raises StoreError."""

    state: State
    queue: str
    by: str
    run: str

    def put(self, letter: Letter, *, about: str | None, reason: str, error_type: str) -> str:
        """Store a letter; once this returns it is durable. Its key, the same at each repetition.

        `about` is the key of the object it speaks of, if that is known.
        """
        key = archive_key(letter, about)
        record = {
            **lossless(letter.id, letter.body, letter.system, letter.attributes),
            "failure": letter.failure,
            "reason": reason,
            "error_type": error_type,
            "archived_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "by": self.by,
            "run": self.run,
            "queue": self.queue,
        }
        self.state.put(key, orjson.dumps(record))
        return key


def archive_key(letter: Letter, about: str | None) -> str:
    """`dlq-archive/YYYY-MM-DD/<key or message id>-<message id>.json`, dated by when the letter was first sent."""
    return fitting_key(f"{ARCHIVE_PREFIX}{dated(letter.sent_ms)}/", about or letter.id, f"-{letter.id}.json")


def read(state: State, key: str) -> Entry | None:
    """An archived letter; None where there is none. Raises StoreError, and ValueError for what is none of ours."""
    raw = state.get(key)
    if raw is None:
        return None
    stored = orjson.loads(raw)
    try:
        letter = Letter(stored["message_id"], stored["body"], stored["system_attributes"], attributes_of(stored))
        return Entry(
            key, letter, stored["reason"], stored["error_type"], stored["archived_at"], stored["by"], stored["run"],
            stored["queue"], stored.get("restored"),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{key} is no record of {ARCHIVE_PREFIX}: {error!r}") from None
