"""Says in one sentence where a file is: what S3 has of it, and then the first thing that explains the rest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recovery.ledger.rows import Row, State
from recovery.manager.records import RowMaker
from recovery.manager.web.moments import moment
from recovery.manager.where import Where
from recovery.operations.whereabouts import Retrying
from worker.core.base.text import one_line
from worker.core.extract import FAILURES
from worker.core.sqs.dead_letter import NEVER_MS

MAX_WHY_CHARS = 300


class Standing(StrEnum):
    """What explains whether a file is found."""

    INDEXED = "indexed"
    """The index holds it as it is now."""
    INDEXED_BY_NAME = "indexed_by_name"
    """The same, without a text: there is none, or it is not read."""
    EXCLUDED = "excluded"
    """The settings keep it out of the index."""
    PARKED = "parked"
    REJECTED = "rejected"
    """It waits in `retry-index/`, because the index refused it."""
    WAITING = "waiting"
    """It waits there, because the index did not answer."""
    CAPPED = "capped"
    """It waits for a cap of the day."""
    HELD = "held"
    """Its dead letter is held by somebody."""
    OPEN = "open"
    SCHEDULED = "scheduled"
    SENT = "sent"
    MISSING = "missing"
    GIVEN_UP = "given_up"
    """Its dead letter is in `dlq-archive/`."""
    UNREADABLE = "unreadable"
    """The index holds it by its name, because its text could not be read."""
    OUTDATED = "outdated"
    """The index holds an earlier state of it, or what is gone."""
    UNINDEXED = "unindexed"
    """The index has nothing of it, and nothing says why."""
    NOWHERE = "nowhere"
    """Neither S3 nor the index has it, so that nothing can come of it."""
    UNKNOWN = "unknown"
    """The index could not be asked."""


IN_S3 = "It has been in S3 since {modified} ({size} bytes)"
GONE = "It is not in S3"
NO_BUCKET = "The bucket {bucket} does not exist"
NOT_SAID = "S3 does not say whether it exists ({why})"
QUEUED = "messages that have not been processed yet ({count}) may be about it"
LOST = (
    "no message waits that could be about it, so its event has not come yet, or was lost: "
    "`reconcile_index s3://{bucket} --fix` finds what is missing, and indexes it"
)
NOT_COUNTED = "whether a message about it waits is not known"
SAYINGS: Mapping[Standing, str] = {
    Standing.INDEXED: "{there}, and the index has held it as it is now since {observed}.",
    Standing.INDEXED_BY_NAME: "{there}, and the index has held it by name, size and date alone since {observed}: {status}.",
    Standing.EXCLUDED: "{there}, and it is not to be in the index: it is {why}.",
    Standing.PARKED: "{there}, and its document has been parked in retry-index/ since {at}, because the index refuses it: {why}",
    Standing.REJECTED: "{there}, and it has been waiting in retry-index/ since {at}, because the index refused it: {why}",
    Standing.WAITING: "{there}, and it has been waiting in retry-index/ since {at}, because the index did not take it: {why}",
    Standing.CAPPED: "{there}, and it has been waiting in retry-index/ since {at}, until a cap of the day has room again: {why}",
    Standing.HELD: "{there}, and its message has been a dead letter since {at}, which somebody holds ({hold}): {why}",
    Standing.OPEN: "{there}, and its message has been a dead letter since {at}, which waits for somebody to act: {why}",
    Standing.SCHEDULED: "{there}, and its message has been a dead letter since {at}, and will be sent again at {retry}: {why}",
    Standing.SENT: "{there}, and its message had failed and was sent again at {sent}, of which nothing has come yet: {why}",
    Standing.MISSING: "{there}, and the record of its dead letter, which came at {at}, is missing: {why}",
    Standing.GIVEN_UP: "{there}, and its message was given up at {at}, and is in dlq-archive/: {why}",
    Standing.UNREADABLE: "{there}, and the index has held it by its name alone since {observed}: its text could not be read, "
    "because {status}.",
    Standing.OUTDATED: "{there}, and the index holds it as it was before, at {observed}; {queued}.",
    Standing.UNINDEXED: "{there}, and the index does not hold it; {queued}.",
    Standing.NOWHERE: "{there}, and the index has nothing under this name: check {check}.",
    Standing.UNKNOWN: "{there}, and what the index holds is not known ({why}); {queued}.",
}  # fmt: skip

NAME = "the name and the folder"
BUCKET = "the bucket's name"

STATUSES: Mapping[str, str] = {
    "empty": "it has no text",
    "metadata_only": "no text is read from files of its kind",
    "archived": "S3 keeps it in an archive, from which it has to be restored first",
    "too_large": "it is too large for its text to be read",
    "encrypted": "it is protected by a password",
    "corrupt": "it is damaged",
    "timeout": "reading it took too long",
    "out_of_memory": "reading it took too much memory",
}
"""Why the index has no text of it, by the status of the extraction."""
TEXTS = (
    IN_S3,
    GONE,
    NO_BUCKET,
    NOT_SAID,
    QUEUED,
    LOST,
    NOT_COUNTED,
    NAME,
    BUCKET,
    *SAYINGS.values(),
    *STATUSES.values(),
)
"""All that a Voice may translate."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How a sentence is said: in which language, and how it shows times and numbers."""

    translate: Callable[[str], str] = str
    time: Callable[[int], str] = lambda at_ms: moment(at_ms) or "?"
    """Of ms since the epoch; 0 where it is not known."""
    number: Callable[[int], str] = "{:,}".format


ENGLISH = Voice()


def standing(where: Where) -> Standing:
    """What explains whether the file is found."""
    document, row = where.index.document, dead_letter_of(where)
    if where.is_indexed and document is not None:
        return Standing.INDEXED if document.extraction_status in {"ok", "partial"} else Standing.INDEXED_BY_NAME
    if where.excluded:
        return Standing.EXCLUDED
    if where.retrying:
        return _of_retrying(where.retrying[0])
    if row is not None:
        return Standing.HELD if row.hold is not None and row.state in _WAIT else _OF_STATE[row.state]
    return Standing.GIVEN_UP if where.archived else _of_index_alone(where)


def _of_retrying(first: Retrying) -> Standing:
    if first.held_for is not None:
        return Standing.CAPPED
    if first.is_parked:
        return Standing.PARKED
    return Standing.REJECTED if first.record.rejected else Standing.WAITING


def _of_index_alone(where: Where) -> Standing:
    document = where.index.document
    if document is not None:
        is_same = where.s3.state is not None and document.state == where.s3.state
        return Standing.UNREADABLE if is_same and document.extraction_status in FAILURES else Standing.OUTDATED
    if where.index.problem:
        return Standing.UNKNOWN
    return Standing.NOWHERE if where.s3.is_gone or where.s3.has_no_bucket else Standing.UNINDEXED


_WAIT = (State.OPEN, State.SCHEDULED)
_OF_STATE = {
    State.OPEN: Standing.OPEN, State.SCHEDULED: Standing.SCHEDULED, State.SENT: Standing.SENT,
    State.MISSING: Standing.MISSING, State.ARCHIVED: Standing.GIVEN_UP, State.ABANDONED: Standing.GIVEN_UP,
}  # fmt: skip
"""Those of which a dead letter says anything: of a recovered one, the index does."""


def dead_letter_of(where: Where) -> Row | None:
    """The dead letter that explains most: the first state of _OF_STATE, and of these the latest."""
    found = [row for state in _OF_STATE for row in where.dead_letters if row.state is state]
    return found[0] if found else None


def sentence(where: Where, rows: RowMaker, voice: Voice = ENGLISH) -> str:
    """Where the file is. `rows` hide what must not be shown of an archived dead letter."""
    known = standing(where)
    values = {
        "there": _there(where, voice), "queued": _queued(where, voice), **_of_index(where, voice),
        **_of_holder(where, known, rows, voice), "check": voice.translate(BUCKET if where.s3.has_no_bucket else NAME),
    }  # fmt: skip
    return voice.translate(SAYINGS[known]).format(**values)


def _there(where: Where, voice: Voice) -> str:
    if where.s3.is_gone:
        return voice.translate(GONE)
    if where.s3.has_no_bucket:
        return voice.translate(NO_BUCKET).format(bucket=where.bucket)
    if where.s3.last_modified is None:
        return voice.translate(NOT_SAID).format(why=where.s3.problem)
    modified = voice.time(_ms(where.s3.last_modified))
    return voice.translate(IN_S3).format(modified=modified, size=voice.number(where.s3.size))


def _queued(where: Where, voice: Voice) -> str:
    if count := (where.in_queue or 0) + (where.in_dlq or 0):
        return voice.translate(QUEUED).format(count=voice.number(count))
    if where.in_queue is None or where.in_dlq is None:  # a message about it may wait in the one that does not say
        return voice.translate(NOT_COUNTED)
    return voice.translate(LOST).format(bucket=where.bucket)


def _of_index(where: Where, voice: Voice) -> dict[str, str]:
    document = where.index.document
    if document is None:
        return {"observed": "", "status": ""}
    status = document.extraction_status or "?"
    return {"observed": voice.time(document.version), "status": voice.translate(STATUSES.get(status, status))}


def _of_holder(where: Where, known: Standing, rows: RowMaker, voice: Voice) -> dict[str, str]:
    """What the holder of its document or message says: since when, and why."""
    if known in {Standing.EXCLUDED, Standing.UNKNOWN}:
        return {"why": where.excluded or where.index.problem}
    if known in {Standing.PARKED, Standing.REJECTED, Standing.WAITING, Standing.CAPPED}:
        record = where.retrying[0].record
        return {"why": _short(record.reason), "at": voice.time(iso_ms(record.stored_at))}
    if (row := dead_letter_of(where)) is not None:
        error = ": ".join(filter(None, (row.error_type, row.message))) or row.finding or row.kind.value
        return {
            "why": _short(error), "hold": _short(row.hold or ""), "retry": voice.time(row.retry_at_ms or 0),
            "sent": voice.time(row.sent_at_ms or 0),
            "at": voice.time(row.changed_ms if known is Standing.GIVEN_UP else row.first_seen_ms),
        }  # fmt: skip
    if where.archived:
        entry = where.archived[0]
        return {"why": _short(rows.text(entry.dead_letter, entry.reason)), "at": voice.time(iso_ms(entry.archived_at))}
    return {}


def _short(text: str) -> str:
    return one_line(text)[:MAX_WHY_CHARS]


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def iso_ms(text: str) -> int:
    """A time in ISO 8601 as ms since the epoch; 0 if it is none."""
    try:
        found = int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return 0
    return found if 0 < found < NEVER_MS else 0
