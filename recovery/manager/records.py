"""The ledger's row of a stored dead letter. Whatever is in a row can be made again from its record in S3."""

from dataclasses import dataclass, field, replace
from typing import Any

from recovery.ledger.rows import MAX_MESSAGE_CHARS, ArrivalRow, Row, State
from recovery.manager.redacted import redacted
from recovery.manager.redaction import Redactor, View
from recovery.operations.dead_letters.facts import facts_of
from recovery.operations.dead_letters.message_types import MessageTypes
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.stored_dead_letter import StoredDeadLetter, first_failed_ms

FROM_RECORD = (
    "state", "sent_at_ms", "sent_by", "sent_to", "sent_run", "retries", "retry_at_ms", "retry_by", "owner", "note", "hold",
)  # fmt: skip
"""What was done to a dead letter and said about it: fields of its row that change with its record."""

TEXTS = ("message", "about", "fault", "note", "hold")
NAMES = (
    "error_type", "fingerprint", "bucket", "source_queue", "source_service", "correlation_id", "worker", "owner",
)  # fmt: skip
"""The fields of a row in which something may be hidden, besides its key: whatever the message, its failure record or people say."""
LONGEST = {
    "error_type": 200, "fingerprint": 200, "source_service": 200, "source_queue": 1_000, "correlation_id": 1_000, "worker": 1_000,
}  # fmt: skip
"""Characters of the names that failure records of others may hold at any length: longer ones have no place in a list, nor in the
address of a group."""


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes rows: by which types messages are recognized, and what the ledger must not know."""

    types: MessageTypes
    redactor: Redactor = field(default_factory=Redactor)
    """What the ledger never gets to know: so no list shows it, no search finds it, and no notification has it."""

    def row(self, stored: StoredDeadLetter) -> Row:
        """The row of a record, without what only the ledger knows (its events)."""
        dead_letter, sent = stored.dead_letter, stored.sent
        facts = facts_of(dead_letter, self.types)
        failure, first = facts.failure, facts.refs[0] if facts.refs else None
        made = Row(
            identity=dead_letter.id,
            key=stored.key,
            state=State.SCHEDULED if stored.is_scheduled else State(stored.state.value),
            kind=dead_letter.kind,
            error_type=failure.error_type,
            message=failure.message[:MAX_MESSAGE_CHARS],
            fingerprint=failure.fingerprint,
            type=facts.type,
            bucket=first.bucket if first else "",
            object_key=first.key if first else None,
            about=facts.about,
            source_queue=failure.source_queue,
            source_service=failure.source_service,
            correlation_id=failure.correlation_id,
            worker=failure.worker,
            body_sha256=dead_letter.body_sha256,
            size_bytes=dead_letter.size_bytes,
            attribute_count=len(dead_letter.attributes),
            fault=self.types.fault(dead_letter.body),
            attempts=len(stored.arrivals),
            redrives=dead_letter.redrives,
            first_failed_ms=first_failed_ms(dead_letter),
            first_seen_ms=min(stored.arrivals.values()),
            last_seen_ms=max(stored.arrivals.values()),
            sent_ms=dead_letter.sent_ms,
            sent_at_ms=sent.at_ms if sent else None,
            sent_by=sent.by if sent else None,
            sent_to=sent.to if sent else None,
            sent_run=sent.run if sent else None,
            retries=stored.retry.count,
            retry_at_ms=stored.retry.at_ms,
            retry_by=stored.retry.by,
            owner=stored.owner,
            note=stored.note,
            hold=stored.hold.reason if stored.hold else None,
        )
        made = self._redacted(made, stored) if self.redactor.is_active else made
        return replace(made, **{name: getattr(made, name)[:most] for name, most in LONGEST.items()})

    def text(self, dead_letter: DeadLetter, text: str) -> str:
        """A text about a dead letter, such as what became of acting on it, as the ledger may know it."""
        return self._view(dead_letter).text(text) if text and self.redactor.is_active else text

    def name(self, dead_letter: DeadLetter, name: str) -> str:
        """A whole name in a dead letter, such as that of a bucket or a key, as it may be shown."""
        return self._view(dead_letter).name(name) if self.redactor.is_active else name

    def _view(self, dead_letter: DeadLetter) -> View:
        return redacted(dead_letter, self.redactor).view

    def _redacted(self, row: Row, stored: StoredDeadLetter) -> Row:
        """A row of which no field has what is hidden. A key that would have is not known to the ledger."""
        view = self._view(stored.dead_letter)
        shown: dict[str, Any] = {
            name: hide(value) for names, hide in ((TEXTS, view.text), (NAMES, view.name)) for name in names
            if (value := getattr(row, name)) is not None
        }  # fmt: skip
        key = row.object_key if row.object_key is None or view.name(row.object_key) == row.object_key else None
        return replace(row, **shown, object_key=key)


def arrivals_of(stored: StoredDeadLetter) -> list[ArrivalRow]:
    """Every id that a dead letter has had in the DLQ."""
    return [ArrivalRow(name, stored.dead_letter.id, at_ms) for name, at_ms in stored.arrivals.items()]
