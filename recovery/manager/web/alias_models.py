"""The answers that such tools have had: the fields and their meanings here."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, Field

from recovery.ledger.groups import Group
from recovery.ledger.rows import Row, State
from recovery.ledger.statistics import Stats
from recovery.manager.web.moments import Moment, epoch_s, known, moment
from recovery.manager.web.overview_models import most_frequent
from recovery.manager.web.parameters import EXAMPLE_ID
from worker.core.base.classify import FailureKind

MAX_SAMPLES = 3
_AT = "2026-11-01T09:30:00.000Z"


class Metadata(BaseModel):
    """What else is known of a dead letter."""

    state: State
    kind: FailureKind
    group: str = Field(description="What failures of one cause share.", examples=["5b1f2c7d90aa"])
    type: str = Field(examples=["s3-event"])
    about: str = Field(examples=["s3://documents/経理/契約.pdf"])
    worker: str = Field(examples=["worker-1"])
    attempts: int = Field(description="How often it arrived in the dead-letter queue.", examples=[1])
    size_bytes: int = Field(examples=[900])


class FailedMessage(BaseModel):
    """One dead letter, in the fields that such tools have had."""

    message_id: str = Field(description="`identity` in v1.", examples=[EXAMPLE_ID])
    correlation_id: str | None = Field(examples=[None])
    routing_key: str | None = Field(description="Name of the queue in which it failed.", examples=["documents"])
    timestamp: Moment | None = Field(description="`arrived_at` in v1.", examples=[_AT])
    retry_count: int = Field(description="The sum of v1's `redrives` and `retries`.", examples=[0])
    error_type: str = Field(examples=["ReadTimeoutError"])
    error_message: str = Field(examples=["no answer in 30 s"])
    stack_trace: str | None = Field(
        description="Null as `payload` is, or if none was recorded.", examples=["Traceback …"]
    )
    source_service: str | None = Field(examples=["s3-index-worker"])
    payload: Any = Field(
        description="The body: as it is if it is an object or array of JSON, else as a text. Null if it was not asked for, "
        "or not for readers, or if its object is gone; REDACT_FIELDS hides parts of it.",
        examples=[{"bucket": "documents", "key": "経理/契約.pdf"}],
    )
    metadata: Metadata


class QueueStats(BaseModel):
    """Each dead letter is counted in one of them."""

    main: int = Field(description="Open, or still in SQS.", examples=[2])
    retry: int = Field(description="Scheduled to be sent again.", examples=[0])
    analysis: int = Field(description="Open, of kind UNKNOWN: for a person's review.", examples=[1])


class FailedStats(BaseModel):
    """Statistics, in the fields that such tools have had."""

    total_messages: int = Field(description="`depth` of v1.", examples=[3])
    by_error_type: dict[str, int] = Field(examples=[{"ReadTimeoutError": 1}])
    by_service: dict[str, int] = Field(examples=[{"s3-index-worker": 1}])
    oldest_message_age_seconds: float | None = Field(description="Null if none waits.", examples=[60.5])
    newest_message_age_seconds: float | None = Field(examples=[60.5])
    queue_stats: QueueStats

    @classmethod
    def of(cls, stats: Stats, *, in_sqs: int, for_review: int, now_ms: int) -> Self:
        """What the ledger says; `for_review`: how many of the open ones are of kind UNKNOWN."""
        opened, scheduled = (stats.by_state.get(state, 0) for state in (State.OPEN, State.SCHEDULED))
        return cls(
            total_messages=stats.waiting + in_sqs, by_error_type=most_frequent(stats.by_error_type),
            by_service=most_frequent(stats.by_service), oldest_message_age_seconds=_age_s(stats.oldest_sent_ms, now_ms),
            newest_message_age_seconds=_age_s(stats.newest_sent_ms, now_ms),
            queue_stats=QueueStats(main=opened - for_review + in_sqs, retry=scheduled, analysis=for_review),
        )  # fmt: skip


def _age_s(sent_ms: int | None, now_ms: int) -> float | None:
    return None if sent_ms is None else max(0, now_ms - sent_ms) / 1000


class ErrorGroup(BaseModel):
    """Dead letters of one error type."""

    error_type: str = Field(examples=["ReadTimeoutError"])
    count: int = Field(examples=[1])
    sample_messages: list[str] = Field(description="What some of them say.", examples=[["no answer in 30 s"]])
    first_seen: Moment | None = Field(examples=[_AT])
    last_seen: Moment | None = Field(examples=[_AT])
    sample_ids: list[str] = Field(description="`message_id` of some of them.", examples=[[EXAMPLE_ID]])
    groups: list[str] = Field(description="Their groups, the largest first.", examples=[["5b1f2c7d90aa"]])

    @classmethod
    def of(cls, groups: Sequence[Group]) -> Self:
        """What groups of one error type are together."""
        return cls(
            error_type=groups[0].error_type, count=sum(group.count for group in groups),
            sample_messages=list(dict.fromkeys(group.message for group in groups))[:MAX_SAMPLES],
            first_seen=moment(min(group.first_seen_ms for group in groups)),
            last_seen=moment(max(group.last_seen_ms for group in groups)),
            sample_ids=[name for group in groups for name in group.samples][:MAX_SAMPLES],
            groups=list(dict.fromkeys(group.fingerprint for group in groups)),
        )  # fmt: skip


class Recovery(BaseModel):
    """How far recovery is."""

    total_in_recovery: int = Field(description="The sum of the next three.", examples=[3])
    pending_recovery: int = Field(description="Sent again, not confirmed yet; or scheduled.", examples=[1])
    recovered: int = Field(description="Their work is confirmed; forgotten after a time.", examples=[1])
    abandoned: int = Field(
        description="Given up, or archived because they failed through their own fault.", examples=[1]
    )


class Failed(BaseModel):
    """Statistics of the dead letters."""

    total_failed: int = Field(description="`depth` of v1.", examples=[3])
    permanent_failures: int = Field(description="Open: nothing retries them any more.", examples=[1])
    last_24h: int = Field(examples=[1])
    avg_retries: float = Field(examples=[0.5])
    recovery: Recovery

    @classmethod
    def of(cls, stats: Stats, *, in_sqs: int) -> Self:
        """What the ledger says."""
        count = {state: stats.by_state.get(state, 0) for state in State}
        pending = count[State.SENT] + count[State.SCHEDULED]
        ended = count[State.ABANDONED] + count[State.ARCHIVED]
        return cls(
            total_failed=stats.waiting + in_sqs, permanent_failures=count[State.OPEN], last_24h=stats.last_24_h,
            avg_retries=stats.average_retries,
            recovery=Recovery(
                total_in_recovery=pending + count[State.RECOVERED] + ended, pending_recovery=pending,
                recovered=count[State.RECOVERED], abandoned=ended,
            ),
        )  # fmt: skip


class FailedQueueStats(BaseModel):
    """The same under the name that it has had."""

    dlq: Failed


class FailedJob(BaseModel):
    """One dead letter, as a job that failed. Times are in seconds since the epoch."""

    job_id: str = Field(description="`identity` in v1.", examples=[EXAMPLE_ID])
    site_name: str = Field(
        description="The bucket that it is about, else the service that it came from.", examples=["documents"]
    )
    error_message: str = Field(examples=["no answer in 30 s"])
    retry_count: int = Field(examples=[0])
    created_at: float | None = Field(description="When it failed first.", examples=[1793525400.0])
    completed_at: float | None = Field(description="When it was seen last.", examples=[1793525460.0])

    @classmethod
    def of(cls, row: Row) -> Self:
        """What a row says."""
        return cls(
            job_id=row.identity, site_name=row.bucket or row.source_service, error_message=row.message,
            retry_count=retry_count(row), created_at=epoch_s(row.first_failed_ms), completed_at=epoch_s(row.last_seen_ms),
        )  # fmt: skip


class FailedJobs(BaseModel):
    """The latest failures."""

    failures: list[FailedJob]
    count: int = Field(description="How many are in this answer.", examples=[1])


def retry_count(row: Row) -> int:
    """How often a dead letter was sent again, by operators or its schedule."""
    return row.redrives + row.retries


def message_fields(row: Row) -> dict[str, object]:
    """The fields of a FailedMessage that a row has; its object has the payload and the stack."""
    return {
        "message_id": row.identity, "correlation_id": row.correlation_id or None,
        "routing_key": row.source_queue.rstrip("/").rpartition("/")[2] or None,
        "timestamp": moment(row.sent_ms) or known(row.first_seen_ms) or None, "retry_count": retry_count(row),
        "error_type": row.error_type, "error_message": row.message, "stack_trace": None,
        "source_service": row.source_service or None, "payload": None,
        "metadata": {
            "state": row.state, "kind": row.kind, "group": row.fingerprint, "type": row.type, "about": row.about,
            "worker": row.worker, "attempts": row.attempts, "size_bytes": row.size_bytes,
        },
    }  # fmt: skip
