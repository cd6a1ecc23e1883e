"""`stats`: the depth, causes and age of the DLQ, the runs that hold dead letters, and what waits in the state bucket."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from recovery.operations.clients import DlqClients, retention_of
from recovery.operations.dead_letters.grouping import By, Group, counts, grouped
from recovery.operations.dead_letters.scan import Scan
from recovery.operations.find import Found
from recovery.operations.records.holders import holders
from worker.core.base.errors import QueueError, StoreError
from worker.core.s3.state import ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX, State
from worker.core.s3.waiting import tally, tally_retry_index
from worker.core.s3.workers import WorkerRecord, read_workers
from worker.core.sqs.queue import Queue
from worker.core.sqs.stored_dead_letter import StoredDeadLetter, StoredState

MAX_GROUPS = 5
"""Number of groups in the result."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The number of records in the state bucket."""

    bucket: str
    counts: dict[str, int]
    """By prefix; MAX_COUNTED means that many or more."""
    holders: list[dict[str, object]]
    """The records of the runs that hold dead letters."""
    workers: list[WorkerRecord]
    """Of those that wrote lately or were lost within a day, and those that cannot be read."""
    error: str = ""
    """Why they could not be counted; empty if they were."""

    def as_json(self) -> dict[str, object]:
        """The counts, or the error."""
        return {"bucket": self.bucket, **({"error": self.error} if self.error else self.counts)}


@dataclass(frozen=True, slots=True)
class Stats:
    """The state of a dead-letter queue."""

    dlq: str
    visible: int
    in_flight: int
    stored: int
    """Number of dead letters in `dead-letters/` that can be acted upon, as far as they were read."""
    by_status: dict[str, int]
    """The same by what is to happen with them: open, scheduled, held, unconfirmed; and how many have an owner."""
    seen: int
    about: int
    oldest_s: float | None
    """When the oldest dead letter was first sent, seconds since the epoch; None if there is none."""
    oldest_in_dlq_s: float | None
    """When the oldest of those that SQS will drop was first sent; None if there is none."""
    retention_s: int
    by: dict[By, dict[str, int]]
    causes: dict[str, int]
    """By error and, where there is one, the code of its reason; the largest first."""
    groups: list[Group]
    """The largest groups of dead letters with the same cause."""
    more_groups: int
    """Number of the other groups, which are not in `groups`."""
    redrive_policy: dict[str, object] | None
    """The policy of the source queue, and whether it leads to this DLQ; None without a source queue or a policy."""
    waiting: Waiting | None
    """None if no state bucket is set."""

    @property
    def soonest_expiry_s(self) -> float | None:
        """When SQS drops the first dead letter, seconds since the epoch; None if there is none."""
        return None if self.oldest_in_dlq_s is None else self.oldest_in_dlq_s + self.retention_s

    @property
    def depth(self) -> int:
        """Number of dead letters that wait for someone to act: in the DLQ, visible or not, and stored."""
        return self.visible + self.in_flight + self.stored

    def figures(self) -> dict[str, float]:
        """Metrics for alarms, in seconds. SQS's own metric does not count the age from when a message was first sent.

        Without dead letters, both are sent as well: an alarm then ends, and one on missing figures stays silent.
        """
        now_s = time.time()
        oldest_s, expiry_s = self.oldest_s, self.soonest_expiry_s
        return {
            "DlqOldestAge": 0.0 if oldest_s is None else now_s - oldest_s,
            "DlqSoonestExpiry": float(self.retention_s) if expiry_s is None else max(0.0, expiry_s - now_s),
        }


def stats(clients: DlqClients, found: Found, *, source: Queue | None) -> Stats:
    """Return the state of the DLQ, given what `find` found; `source` is the queue whose dead letters go there."""
    dead_letters = [one for one in found.dead_letters if one.sent_ms]
    groups = grouped(found.facts, By.FINGERPRINT)
    in_dlq = [one.sent_ms / 1000 for one in dead_letters if not one.stored_key]
    return Stats(
        dlq=clients.dlq.url,
        visible=found.scan.visible,
        in_flight=found.scan.in_flight,
        stored=sum(1 for one in found.dead_letters if one.stored_key),
        by_status=_by_status([one.stored for one in found.facts if one.stored is not None]),
        seen=found.scan.seen,
        about=found.scan.about,
        oldest_s=min((one.sent_ms / 1000 for one in dead_letters), default=None),
        oldest_in_dlq_s=min(in_dlq, default=None),
        retention_s=retention_of(found.scan.attributes),
        by={by: counts(found.facts, by) for by in (By.KIND, By.ERROR, By.SOURCE, By.TYPE)},
        causes=dict(Counter(one.cause for one in found.facts).most_common()),
        groups=groups[:MAX_GROUPS],
        more_groups=len(groups[MAX_GROUPS:]),
        redrive_policy=None if source is None else _policy(source, found.scan.attributes.get("QueueArn")),
        waiting=None if clients.state is None else _waiting(clients.state, clients.objects.clock.now_ms()),
    )


def at_present(figures: Stats, clients: DlqClients) -> Stats:
    """The same with the depth as it is now, for which nothing is received or read. Raises QueueError and StoreError."""
    now, waiting, stored = Scan(clients.dlq.attributes()), figures.waiting, figures.stored
    if clients.state is not None and waiting is not None and not waiting.error:
        count = tally(clients.state, DEAD_LETTERS_PREFIX).count
        stored = max(0, stored + count - waiting.counts[DEAD_LETTERS_PREFIX])
        waiting = replace(waiting, counts={**waiting.counts, DEAD_LETTERS_PREFIX: count})
    return replace(figures, visible=now.visible, in_flight=now.in_flight, stored=stored, waiting=waiting)


def _by_status(stored: Sequence[StoredDeadLetter]) -> dict[str, int]:
    found = Counter(map(_status, stored))
    found["owned"] = sum(1 for one in stored if one.owner)
    return {name: found[name] for name in ("open", "scheduled", "held", "unconfirmed", "owned") if found[name]}


def _status(stored: StoredDeadLetter) -> str:
    if stored.hold is not None:
        return "held"
    if stored.state is StoredState.SENT:
        return "unconfirmed"
    return "scheduled" if stored.is_scheduled else "open"


def _policy(source: Queue, dlq_arn: str | None) -> dict[str, object] | None:
    try:
        policy = orjson.loads(source.attributes().get("RedrivePolicy", "null"))
    except (QueueError, ValueError) as error:
        return {"error": str(error)}
    if not isinstance(policy, dict):
        return None
    return {**policy, "leads_here": policy.get("deadLetterTargetArn") == dlq_arn}


def _waiting(state: State, now_ms: int) -> Waiting:
    try:
        found = {
            **{prefix: one.count for prefix, one in tally_retry_index(state).items()},
            **{prefix: tally(state, prefix).count for prefix in (ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX)},
        }
        workers = [one for one in read_workers(state, now_ms) if one.is_of_interest]
        return Waiting(state.bucket, found, holders(state), workers)
    except StoreError as error:
        return Waiting(state.bucket, {}, [], [], str(error))
