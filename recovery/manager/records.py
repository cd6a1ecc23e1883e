"""The ledger's row of a stored dead letter. Whatever is in a row can be made again from its record in S3."""

from dataclasses import dataclass

from recovery.ledger.rows import MAX_MESSAGE_CHARS, ArrivalRow, Row, State
from recovery.operations.dead_letters.facts import facts_of
from recovery.operations.dead_letters.message_types import MessageTypes
from worker.core.sqs.stored_dead_letter import StoredDeadLetter, first_failed_ms


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes rows: by which types messages are recognized, and the bucket of events that name only a key."""

    types: MessageTypes
    default_bucket: str | None

    def row(self, stored: StoredDeadLetter) -> Row:
        """The row of a record, without what only the ledger knows (its events)."""
        dead_letter, sent = stored.dead_letter, stored.sent
        facts = facts_of(dead_letter, self.types, default_bucket=self.default_bucket)
        failure, first = facts.failure, facts.refs[0] if facts.refs else None
        return Row(
            identity=dead_letter.id,
            key=stored.key,
            state=State(stored.state.value),
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
        )


def arrivals_of(stored: StoredDeadLetter) -> list[ArrivalRow]:
    """Every id that a dead letter has had in the DLQ."""
    return [ArrivalRow(name, stored.dead_letter.id, at_ms) for name, at_ms in stored.arrivals.items()]
