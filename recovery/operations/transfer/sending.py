"""Decides what can be sent to a queue, and sends it. The caller settles it only after SQS has confirmed the send."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from recovery.operations.dead_letters.facts import MAX_REDRIVES
from recovery.operations.dead_letters.message_types import MessageTypes
from worker.core.audit import Recorded
from worker.core.base.concurrency import Pace
from worker.core.sqs.dead_letter import DeadLetter, Refused, SendEntry, entry_bytes
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.queue import MAX_BATCH, MAX_MESSAGE_BYTES, Queue, in_batch

FIFO = ".fifo"


def is_fifo(queue: Queue) -> bool:
    """Whether the order of messages counts: then one after another is sent."""
    return queue.name.endswith(FIFO)


EntryOf = Callable[[DeadLetter], SendEntry | Refused]
"""Makes the entry that sends a dead letter to a queue, or returns why it must not be sent."""
Prepared = tuple[DeadLetter, SendEntry]


@dataclass(slots=True)
class TransferReport:
    """The result for dead letters that were to be sent, archived or deleted, by message id."""

    sent: list[str] = field(default_factory=list)
    """Sent (or archived, or deleted), and confirmed."""
    refused: dict[str, str] = field(default_factory=dict)
    """Not allowed to be sent, with the reason; unchanged."""
    kept: dict[str, str] = field(default_factory=dict)
    """Not sent, with the reason: an error from SQS or S3, or an interruption; unchanged."""
    not_deleted: list[str] = field(default_factory=list)
    """Sent, but still here as well. They are going to be processed twice, which does no harm."""

    @property
    def is_complete(self) -> bool:
        """Whether everything was sent, and deleted from the DLQ."""
        return not self.not_done

    @property
    def not_done(self) -> int:
        """Number of those that are refused, kept, or here as well."""
        return len(self.refused) + len(self.kept) + len(self.not_deleted)

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {"sent": self.sent, "refused": self.refused, "kept": self.kept, "not_deleted": self.not_deleted}

    def counts(self) -> dict[str, int]:
        """The number of messages for each result."""
        return {
            "sent": len(self.sent), "refused": len(self.refused), "kept": len(self.kept), "not_deleted": len(self.not_deleted)
        }  # fmt: skip

    def keep(self, dead_letters: Iterable[DeadLetter], why: str) -> None:
        """Report that these dead letters stay where they are, and why."""
        self.kept |= {dead_letter.id: why for dead_letter in dead_letters}


@dataclass(frozen=True, slots=True)
class Transferred:
    """The result of an operation, and where it is recorded."""

    report: TransferReport
    recorded: Recorded


class Rules:
    """Decides what can be sent to one queue."""

    def __init__(
        self, queue: Queue, attributes: Mapping[str, str], types: MessageTypes, *, force: bool = False
    ) -> None:
        """`attributes` are those of the queue. `force` allows messages that were redriven too often."""
        self._types = types
        self._force = force
        self._fifo = is_fifo(queue)
        self._max_bytes = int(attributes.get("MaximumMessageSize", MAX_MESSAGE_BYTES))

    def redriven(self, dead_letter: DeadLetter) -> SendEntry | Refused:
        """Make the entry that sends a dead letter to be processed, with its redrive counted; or return why it must not be sent."""
        fault = self._types.fault(dead_letter.body)
        if fault is not None:
            return Refused(fault)
        if dead_letter.redrives >= MAX_REDRIVES and not self._force:
            return Refused(f"it was already redriven {dead_letter.redrives} times; --force sends it nevertheless")
        record = (dead_letter.failure or FailureRecord()).redriven(
            dead_letter.possible_ids[0], sent_ms=dead_letter.sent_ms
        )
        entry = dead_letter.entry(record, max_bytes=self._max_bytes, fifo=self._fifo)
        if not isinstance(entry, Refused):
            return entry
        if self._force:
            return self.unchanged(dead_letter)
        return Refused(f"{entry.reason}; --force sends it without its redrive count")

    def retried(self, dead_letter: DeadLetter) -> SendEntry | Refused:
        """Make the entry that sends a dead letter by itself: no redrive is counted. Or return why it must not be sent so.

        Without room for its failure record, it would return as another dead letter, and be retried for ever.
        """
        fault = self._types.fault(dead_letter.body)
        if fault is not None:
            return Refused(fault)
        record = (dead_letter.failure or FailureRecord()).retried(
            dead_letter.possible_ids[0], sent_ms=dead_letter.sent_ms
        )
        return dead_letter.entry(record, max_bytes=self._max_bytes, fifo=self._fifo)

    def unchanged(self, dead_letter: DeadLetter) -> SendEntry | Refused:
        """Make the entry that sends a dead letter without any change, or return why the queue cannot accept it."""
        return dead_letter.entry(None, max_bytes=self._max_bytes, fifo=self._fifo)


def prepare(dead_letters: Iterable[DeadLetter], entry_of: EntryOf, report: TransferReport) -> list[Prepared]:
    """Make the entries of the dead letters that can be sent, in order. The others are added to the report as refused."""
    prepared: list[Prepared] = []
    for dead_letter in dead_letters:
        entry = entry_of(dead_letter)
        if isinstance(entry, Refused):
            report.refused[dead_letter.id] = entry.reason
        else:
            prepared.append((dead_letter, entry))
    return prepared


def post(
    to: Queue,
    prepared: Sequence[Prepared],
    report: TransferReport,
    *,
    stop: threading.Event,
    rate: float | None = None,
    pace: Pace | None = None,
    claim: Callable[[Iterable[DeadLetter]], Mapping[str, str]] = lambda _: {},
) -> Iterator[list[DeadLetter]]:
    """Send messages, at most `rate` per second, or per `pace` where calls share one.

    Yields after each batch what SQS has confirmed, to be settled at once.

    What `claim` returns of a batch, by id, is refused. Once `stop` is set, the rest is kept. Never raises: what SQS does not
    accept is added to the report.
    """
    pace = pace or Pace(rate)
    for batch in _batches(prepared, 1 if rate is not None and rate < MAX_BATCH else MAX_BATCH):
        pace.wait(stop, count=len(batch))
        if stop.is_set():
            report.keep((dead_letter for dead_letter, _ in batch), "interrupted")
            continue
        unclaimed = claim(dead_letter for dead_letter, _ in batch)
        report.refused |= unclaimed
        batch = [one for one in batch if one[0].id not in unclaimed]  # noqa: PLW2901 (what is left of it)
        refused = in_batch(to.send, [entry for _, entry in batch], stop=stop) if batch else {}
        report.kept |= {batch[at][0].id: f"{one.code}: {one.message}" for at, one in refused.items()}
        confirmed = [dead_letter for at, (dead_letter, _) in enumerate(batch) if at not in refused]
        report.sent += [dead_letter.id for dead_letter in confirmed]
        yield confirmed


def _batches(prepared: Sequence[Prepared], count: int) -> Iterator[list[Prepared]]:
    """Split into batches for one call each: at most `count` messages, and 1 MiB in total."""
    batch: list[Prepared] = []
    room = MAX_MESSAGE_BYTES
    for dead_letter, entry in prepared:
        size = entry_bytes(entry)
        if batch and (len(batch) == count or size > room):
            yield batch
            batch, room = [], MAX_MESSAGE_BYTES
        batch.append((dead_letter, entry))
        room -= size
    if batch:
        yield batch
