"""What S3, the index and the queues hold now: of one dead letter, and of one object."""

from collections.abc import Sequence
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.rows import Row, State
from recovery.manager import where_said
from recovery.manager.present import Now, ObjectNow
from recovery.manager.records import RowMaker
from recovery.manager.web.moments import Moment, known, moment
from recovery.manager.web.parameters import EXAMPLE_ID, AnyId, found
from recovery.manager.web.principal import Reader
from recovery.manager.web.problems import MAX_SHOWN_CHARS, documented
from recovery.manager.web.service import Service, TheService
from recovery.manager.where import Where, where
from recovery.manager.where_said import Standing, iso_ms
from recovery.operations.advice import Advice as Advised
from recovery.operations.dead_letters import copies
from recovery.operations.present import InIndex, InS3
from worker.core.base.names import is_bucket_name
from worker.core.s3.state import MAX_KEY_BYTES

router = APIRouter(tags=["messages"])
_AT = "2026-11-01T09:30:00.000Z"
_KEY = "経理/契約.pdf"


class S3Now(BaseModel):
    """What S3 has of an object."""

    exists: bool | None = Field(description="Null if S3 did not say.", examples=[True])
    size_bytes: int | None = Field(examples=[82_311])
    etag: str | None = Field(examples=["9b2cf535f27731c974343645a3985328"])
    last_modified: Moment | None = Field(examples=[_AT])
    problem: str | None = Field(description="Why S3 did not say it.")

    @classmethod
    def of(cls, s3: InS3) -> Self:
        """What was found."""
        state = s3.state
        return cls(
            exists=None if s3.problem else state is not None, size_bytes=s3.size if state else None,
            etag=state.etag if state else None, problem=s3.problem or None,
            last_modified=known(int(state.last_modified.timestamp() * 1000)) if state else None,
        )  # fmt: skip


class IndexNow(BaseModel):
    """What the index has of an object."""

    exists: bool | None = Field(description="Null if the index was not asked, or did not answer.", examples=[True])
    is_current: bool = Field(description="Whether its document is about the object as it is now, with its text.")
    etag: str | None
    observed_at: Moment | None = Field(description="When the object was read of which the document is.", examples=[_AT])
    extraction: str | None = Field(description="What became of its text.", examples=["ok"])
    problem: str | None = Field(description="Why the index was not asked, or did not answer.")

    @classmethod
    def of(cls, index: InIndex, *, is_current: bool) -> Self:
        """What was found."""
        document = index.document
        return cls(
            exists=None if index.problem else document is not None, is_current=is_current, problem=index.problem or None,
            etag=document.etag if document else None, observed_at=moment(document.version) if document else None,
            extraction=document.extraction_status if document else None,
        )  # fmt: skip


class PresentObject(BaseModel):
    """One object of a dead letter."""

    bucket: str = Field(examples=["documents"])
    key: str = Field(examples=[_KEY])
    s3: S3Now
    index: IndexNow
    has_changed: bool = Field(description="Whether S3 has another object by now than the event was about.")

    @classmethod
    def of(cls, one: ObjectNow) -> Self:
        """What was found."""
        index = IndexNow.of(one.index, is_current=one.is_indexed)
        return cls(bucket=one.bucket, key=one.key, s3=S3Now.of(one.s3), index=index, has_changed=one.has_changed)


class Advice(BaseModel):
    """A command for the operator, as `dlq inspect` recommends it."""

    command: str = Field(examples=[f"dlq recover {EXAMPLE_ID}"])
    why: str
    first: str | None = Field(description="What must be corrected before the command can help.")
    instead: Sequence[str] = Field(description="Commands that give up what `first` would make recoverable.")

    @classmethod
    def of(cls, advice: Advised) -> Self:
        """What is recommended."""
        return cls(command=advice.command, why=advice.why, first=advice.first or None, instead=list(advice.instead))


class SentCopyBrief(BaseModel):
    """An edited copy that was sent, or was about to be."""

    id: str = Field(description="Its id as a dead letter, if it fails.", examples=[EXAMPLE_ID])
    at: Moment
    by: str
    to: str = Field(description="URL of the queue.")
    is_sent: bool = Field(
        description="Whether the queue accepted it; if not, nobody knows, because there was no answer."
    )

    @classmethod
    def of(cls, one: copies.Copy) -> Self:
        """What its record says."""
        return cls(id=one.id, at=known(one.at_ms), by=one.by, to=one.to, is_sent=one.is_sent)


class Present(BaseModel):
    """What is known of a dead letter at this moment."""

    as_of: Moment = Field(description="On S3's clock.", examples=[_AT])
    objects: list[PresentObject] = Field(description="The objects that it is about, up to 20.")
    left_out: int = Field(description="Further objects, which were not looked at.", examples=[0])
    recovery: str = Field(
        description="What recovery would do now, or why that is not known.",
        examples=["recovery would index it: its object can be read"],
    )
    advice: Advice | None = Field(description="What to do; null where that is not known.")
    copies: list[SentCopyBrief] = Field(description="Edited copies of it.")
    copy_of: str | None = Field(description="The dead letter of which it says to be an edited copy.")

    @classmethod
    def of(cls, now: Now) -> Self:
        """What was found."""
        return cls(
            as_of=known(now.at_ms), objects=[PresentObject.of(one) for one in now.objects], left_out=now.left_out,
            recovery=now.recovery, advice=None if now.advice is None else Advice.of(now.advice),
            copies=[SentCopyBrief.of(one) for one in now.copies], copy_of=now.copy_of or None,
        )  # fmt: skip


class WaitingWrite(BaseModel):
    """A document that waits in `retry-index/`."""

    name: str = Field(description="Key of its record in the state bucket.")
    since: Moment | None
    reason: str
    is_parked: bool = Field(description="Whether the index refuses it for good.")
    attempts: int = Field(description="Replays that failed.")


class ObjectDeadLetter(BaseModel):
    """A dead letter about the object."""

    identity: str = Field(examples=[EXAMPLE_ID])
    state: State
    error_type: str
    first_seen_at: Moment | None
    hold: str | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """What a row says."""
        return cls(
            identity=row.identity, state=row.state, error_type=row.error_type, hold=row.hold,
            first_seen_at=moment(row.first_seen_ms),
        )  # fmt: skip


class ArchivedMessage(BaseModel):
    """A dead letter in `dlq-archive/` that the ledger does not know any more."""

    identity: str
    at: Moment | None
    by: str
    reason: str


class WhereIs(BaseModel):
    """Where a file is."""

    sentence: str = Field(
        description="All of it in one sentence.",
        examples=["It has been in S3 since 2026-11-01T09:30:00.000Z (82,311 bytes), and the index does not hold it; …"],
    )
    standing: Standing = Field(description="What explains whether it is found.")
    as_of: Moment = Field(examples=[_AT])
    bucket: str = Field(examples=["documents"])
    key: str = Field(examples=[_KEY])
    s3: S3Now
    index: IndexNow
    excluded: str | None = Field(description="Why it is not to be in the index; null if it is.")
    retry_index: list[WaitingWrite]
    dead_letters: list[ObjectDeadLetter] = Field(description="Those of which it is the first object, up to 20.")
    archived: list[ArchivedMessage]
    in_queue: int | None = Field(description="Messages in the queue, any of which may be about it; null if unknown.")
    in_dlq: int | None = Field(description="Messages in the dead-letter queue that are not taken in yet.")
    unknown: list[str] = Field(description="What could not be asked, or not wholly.")

    @classmethod
    def of(cls, found: Where, rows: RowMaker) -> Self:
        """What was found."""
        return cls(
            sentence=where_said.sentence(found, rows), standing=where_said.standing(found), as_of=known(found.at_ms),
            bucket=found.bucket, key=found.key, s3=S3Now.of(found.s3),
            index=IndexNow.of(found.index, is_current=found.is_indexed), excluded=found.excluded or None,
            retry_index=_waiting(found), dead_letters=[ObjectDeadLetter.of(row) for row in found.dead_letters],
            archived=_archived(found, rows), in_queue=found.in_queue, in_dlq=found.in_dlq, unknown=list(found.unknown),
        )  # fmt: skip


def _waiting(found: Where) -> list[WaitingWrite]:
    return [
        WaitingWrite(
            name=one.name, since=moment(iso_ms(one.record.stored_at)), reason=one.record.reason,
            is_parked=one.is_parked, attempts=one.record.attempts,
        )
        for one in found.retrying
    ]  # fmt: skip


def _archived(found: Where, rows: RowMaker) -> list[ArchivedMessage]:
    return [
        ArchivedMessage(
            identity=one.dead_letter.id, at=moment(iso_ms(one.archived_at)), by=one.by,
            reason=rows.text(one.dead_letter, one.reason),
        )
        for one in found.archived
    ]  # fmt: skip


@router.get("/api/v1/messages/{any_id:path}/present", responses=documented(400, 404))
def get_message_present(_reader: Reader, service: TheService, any_id: AnyId) -> Present:
    """What S3 and the index hold now of its objects, and what recovery would do. It takes up to 8 seconds."""
    return Present.of(service.looker.look(found(service.ledger, any_id)))


@router.get("/api/v1/where", responses=documented(400))
def find_object(
    _reader: Reader,
    service: TheService,
    key: Annotated[
        str, Query(max_length=MAX_KEY_BYTES, description="The object's key, exactly as S3 has it.", examples=[_KEY])
    ],
    bucket: Annotated[
        str | None, Query(max_length=255, description="Its bucket; by default S3_BUCKET.", examples=["documents"])
    ] = None,
) -> WhereIs:
    """Where a file is, and why it is not found, from S3, the index, `retry-index/`, dead letters, archive and queues."""
    return WhereIs.of(where_is(service, bucket, key), service.sources.rows)


def where_is(service: Service, bucket: str | None, key: str) -> Where:
    """Where an object is. Raises AskedWronglyError for what cannot be one's name."""
    bucket = bucket or service.sources.settings.s3_bucket
    if bucket is None:
        raise AskedWronglyError("bucket", "", "given, as S3_BUCKET is not set")
    if not is_bucket_name(bucket):
        raise AskedWronglyError("bucket", bucket[:MAX_SHOWN_CHARS], "a bucket's name, not a URL or an ARN")
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise AskedWronglyError("key", ascii(key)[:MAX_SHOWN_CHARS], "valid Unicode") from None
    if not 0 < length <= MAX_KEY_BYTES:
        raise AskedWronglyError("key", key[:MAX_SHOWN_CHARS], f"of 1 to {MAX_KEY_BYTES:,} bytes")
    return where(service.sources, service.ledger, bucket, key)
