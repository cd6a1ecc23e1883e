"""Sending dead letters on: what is sent, what is refused, and in which order nothing is lost."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from recovery.operations.dead_letters import DeadLetter
from recovery.operations.grouping import redrives_of
from recovery.operations.message_types import MessageTypes
from worker.core.sqs.failure_record import ATTRIBUTE, SCHEMA, resendable, size_bytes
from worker.core.sqs.queue import MAX_ATTRIBUTES, MAX_BATCH, MAX_MESSAGE_BYTES, Queue, in_batch
from worker.core.sqs.visibility import VisibilityExtender

MAX_REDRIVES = 3
"""A message that came back so often needs an operator who says --force."""
FIFO = ".fifo"

SendEntry = dict[str, Any]
"""One entry of a send, as SQS takes it."""
Prepared = tuple[DeadLetter, SendEntry]


@dataclass(slots=True)
class Report:
    """What became of letters that were to be sent on, by message id."""

    sent: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Why they must not be sent; untouched."""
    kept: dict[str, str] = field(default_factory=dict)
    """What SQS said instead of taking them, or that there was no time; untouched."""
    not_deleted: list[str] = field(default_factory=list)
    """Sent, and still in the DLQ as well: printable, they are only done twice."""

    def as_json(self) -> dict[str, Any]:
        """Everything, by name."""
        return {"sent": self.sent, "refused": self.refused, "kept": self.kept, "not_deleted": self.not_deleted}


class Rules:
    """What may be sent to one queue."""

    def __init__(self, to: Queue, types: MessageTypes, *, force: bool = False) -> None:
        """`force` sends what was redriven too often. Raises QueueError: the queue is asked for its limit."""
        self._types = types
        self._force = force
        self._fifo = to.name.endswith(FIFO)
        self._max_bytes = int(to.attributes().get("MaximumMessageSize", MAX_MESSAGE_BYTES))

    def redriven(self, dead_letter: DeadLetter) -> SendEntry | str:
        """The entry that puts a letter to work again, its redrive counted; or why it must not be sent."""
        fault = self._types.fault(dead_letter.body)
        if fault is not None:
            return fault
        redrives = redrives_of(dead_letter)
        if redrives >= MAX_REDRIVES and not self._force:
            return f"it was redriven {redrives} times already; --force does it all the same"
        record = {"schema": SCHEMA, **dead_letter.failure, "redrives": redrives + 1}
        entry = self._fitting(dead_letter, record) or self._fitting(dead_letter, {**record, "stack": ""})
        if entry is None and self._force:
            entry = self._fitting(dead_letter, None)
        return entry or f"{self._too_large(dead_letter)} with its redrive count; --force sends it without"

    def as_it_was(self, dead_letter: DeadLetter) -> SendEntry | str:
        """The entry that puts a letter back where it was, or why the queue cannot take it."""
        return self._fitting(dead_letter, None) or self._too_large(dead_letter)

    def _fitting(self, dead_letter: DeadLetter, record: dict[str, Any] | None) -> SendEntry | None:
        attributes = resendable(dead_letter.attributes)
        if record is not None:
            attributes[ATTRIBUTE] = {"DataType": "String", "StringValue": orjson.dumps(record).decode()}
        if len(attributes) > MAX_ATTRIBUTES or size_bytes(dead_letter.body, attributes) > self._max_bytes:
            return None
        entry: SendEntry = {"MessageBody": dead_letter.body, "MessageAttributes": attributes}
        if self._fifo:  # SQS drops what comes again under one deduplication id within five minutes, and says nothing
            entry["MessageGroupId"] = dead_letter.system.get("MessageGroupId", dead_letter.id)
            entry["MessageDeduplicationId"] = f"{dead_letter.id}-{time.time_ns()}"
        if "AWSTraceHeader" in dead_letter.system:
            header = {"DataType": "String", "StringValue": dead_letter.system["AWSTraceHeader"]}
            entry["MessageSystemAttributes"] = {"AWSTraceHeader": header}
        return entry

    def _too_large(self, dead_letter: DeadLetter) -> str:
        size = size_bytes(dead_letter.body, resendable(dead_letter.attributes))
        return (
            f"its {size:,} bytes and {len(dead_letter.attributes)} attributes are over the queue's limits of "
            f"{self._max_bytes:,} and {MAX_ATTRIBUTES}"
        )


def prepare(
    dead_letters: Sequence[DeadLetter], entry_of: Callable[[DeadLetter], SendEntry | str], report: Report
) -> list[Prepared]:  # fmt: skip
    """What may be sent, in order; what may not is in the report."""
    prepared: list[Prepared] = []
    for dead_letter in dead_letters:
        entry = entry_of(dead_letter)
        if isinstance(entry, str):
            report.refused[dead_letter.id] = entry
        else:
            prepared.append((dead_letter, entry))
    return prepared


def post(
    to: Queue,
    prepared: Sequence[Prepared],
    report: Report,
    *,
    stop: threading.Event,
    rate: float | None = None,
) -> Iterator[list[DeadLetter]]:
    """Send them, at most `rate` a second; after each batch, what SQS has confirmed, for the caller to settle at once.

    Once `stop` is set, the rest is kept. Never raises: what SQS does not take is in the report.
    """
    next_at = time.monotonic()
    for batch in _batches(prepared, 1 if rate is not None and rate < MAX_BATCH else MAX_BATCH):
        if rate is not None:
            stop.wait(max(0.0, next_at - time.monotonic()))
            next_at = max(next_at, time.monotonic()) + len(batch) / rate
        if stop.is_set():
            report.kept |= {dead_letter.id: "interrupted" for dead_letter, _ in batch}
            continue
        refused = in_batch(to.send, [entry for _, entry in batch], stop=stop)
        report.kept |= {batch[at][0].id: f"{one.code}: {one.message}" for at, one in refused.items()}
        confirmed = [dead_letter for at, (dead_letter, _) in enumerate(batch) if at not in refused]
        report.sent += [dead_letter.id for dead_letter in confirmed]
        yield confirmed


def redrive(
    dlq: Queue,
    extender: VisibilityExtender,
    to: Queue,
    prepared: Sequence[Prepared],
    report: Report,
    *,
    stop: threading.Event,
    rate: float | None = None,
    told: Callable[[Report], None] = lambda _: None,
) -> None:
    """Send, and delete from the DLQ only what was confirmed."""
    for confirmed in post(to, prepared, report, stop=stop, rate=rate):
        report.not_deleted += delete(dlq, extender, confirmed)
        told(report)


def delete(dlq: Queue, extender: VisibilityExtender, dead_letters: Sequence[DeadLetter]) -> list[str]:
    """Delete what is safe elsewhere; the ids of what SQS did not delete."""
    left: list[str] = []
    for start in range(0, len(dead_letters), MAX_BATCH):
        batch = dead_letters[start : start + MAX_BATCH]
        refused = in_batch(dlq.delete, [dead_letter.receipt for dead_letter in batch], stop=threading.Event())
        extender.forget(batch)
        left += [batch[at].id for at in refused]
    return left


def _batches(prepared: Sequence[Prepared], count: int) -> Iterator[list[Prepared]]:
    """As many as one call takes: ten, and 1 MiB in all."""
    batch: list[Prepared] = []
    room = MAX_MESSAGE_BYTES
    for dead_letter, entry in prepared:
        size = size_bytes(entry["MessageBody"], entry["MessageAttributes"])
        if batch and (len(batch) == count or size > room):
            yield batch
            batch, room = [], MAX_MESSAGE_BYTES
        batch.append((dead_letter, entry))
        room -= size
    if batch:
        yield batch
