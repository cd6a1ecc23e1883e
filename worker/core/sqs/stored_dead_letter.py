"""One record of `dead-letters/`: a dead letter outside the DLQ, for its whole life, and what was done and said about it.

Everyone who changes a record keeps the fields that they do not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

import orjson

from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs.dead_letter import NEVER_MS, DeadLetter

MAX_ARRIVALS = 1_000
"""Number of ids that a record remembers; a dead letter that returns more often than this is nobody's any more."""


class StoredState(StrEnum):
    """What has become of a stored dead letter. Once it is recovered, archived or abandoned, its record is deleted."""

    OPEN = "open"
    SENT = "sent"
    """It was sent to be processed again, and nobody knows yet how that ended."""


@dataclass(frozen=True, slots=True)
class Sending:
    """How a dead letter was last sent to a queue."""

    at_ms: int
    by: str
    run: str
    to: str
    """URL of the queue."""
    unconfirmed_ms: int
    """From when it may be sent again, because it should have been processed or have returned by then."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is acting on a stored dead letter, and until when nobody else may (ms on S3's clock)."""

    holder: str
    run: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing is to be done with a dead letter, and who says so."""

    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Retry:
    """How a dead letter is sent again by itself."""

    count: int = 0
    """How often it was."""
    at_ms: int | None = None
    """When it will be the next time; None if it will not."""
    by: str | None = None
    """Who wants it to be then; None if the rules of retries do."""


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """One record of `dead-letters/`."""

    dead_letter: DeadLetter
    arrivals: Mapping[str, int]
    """When it came here (ms since the epoch), by the id that it had in the DLQ each time, or in its source queue."""
    state: StoredState = StoredState.OPEN
    sent: Sending | None = None
    """The last time; it stays when the dead letter returns."""
    claim: Claim | None = None
    owner: str | None = None
    """Who is to deal with it: a name or an address; None if nobody is."""
    note: str | None = None
    """What people want each other to know about it."""
    hold: Hold | None = None
    retry: Retry = Retry()
    etag: str = ""
    rest: Mapping[str, object] = field(default_factory=dict)
    """Fields of other programs, or of a newer version."""

    @property
    def key(self) -> str:
        """Key of the record."""
        return self.dead_letter.stored_key

    @property
    def is_scheduled(self) -> bool:
        """Whether it will be sent again by itself."""
        return self.state is StoredState.OPEN and self.retry.at_ms is not None

    def is_waiting(self, now_ms: int) -> bool:
        """Whether it was sent and may still be processed: until then, nothing is to be done with it."""
        return self.state is StoredState.SENT and self.sent is not None and now_ms < self.sent.unconfirmed_ms

    def is_same(self, other: DeadLetter) -> bool:
        """Whether the other is this dead letter, as its failure record claims: by its body, and by where it failed."""
        mine = self.dead_letter
        queues = {"", mine.source_queue, self.sent.to if self.sent else ""}
        return mine.body_sha256 == other.body_sha256 and (not mine.source_queue or other.source_queue in queues)

    def returned(self, other: DeadLetter, at_ms: int) -> Self:
        """This dead letter, after it came here once more: open, and what was done and said is kept."""
        newest = dict(list({**self.arrivals, other.id: at_ms}.items())[-MAX_ARRIVALS:])
        mine = as_stored(other, self.dead_letter.id, self.key, newest)
        return replace(self, dead_letter=mine, arrivals=newest, state=StoredState.OPEN, retry=Retry(self.retry.count))

    # -- JSON --------------------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, object]:
        """The record."""
        failure = self.dead_letter.failure
        return {
            **self.rest,
            **self.dead_letter.message_as_json(),
            "message_id": list(self.arrivals)[-1],
            **({"failure": failure.as_json()} if failure else {}),
            **self.life(),
        }

    def life(self) -> dict[str, object]:
        """What has happened to the dead letter since it first came here."""
        return {
            "dead_letter_id": self.dead_letter.id,
            "arrivals": [{"message_id": name, "at_ms": at_ms} for name, at_ms in self.arrivals.items()],
            "state": self.state.value,
            "sent": _fields(self.sent),
            "claim": _fields(self.claim),
            "owner": self.owner,
            "note": self.note,
            "hold": _fields(self.hold),
            "retry": _fields(self.retry),
        }

    @classmethod
    def from_json(cls, raw: bytes, key: str, etag: str = "") -> Self:
        """Read a record, one of an earlier version too. Raises ValueError if it is not one."""
        try:
            stored = orjson.loads(raw)
            dead_letter = DeadLetter.from_json(stored, stored_key=key)
            arrivals = {str(one["message_id"]): _ms(one["at_ms"]) for one in stored.pop("arrivals", [])}
            arrivals = arrivals or {dead_letter.id: dead_letter.sent_ms}
            return cls(
                as_stored(dead_letter, str(stored.pop("dead_letter_id", dead_letter.id)), key, arrivals),
                arrivals,
                StoredState(stored.pop("state", StoredState.OPEN)),
                _sending(stored.pop("sent", None)),
                _claim(stored.pop("claim", None)),
                _text(stored.pop("owner", None)),
                _text(stored.pop("note", None)),
                _hold(stored.pop("hold", None)),
                _retry(stored.pop("retry", None)),
                etag,
                {name: value for name, value in stored.items() if name not in _OF_DEAD_LETTER},
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{key} is not a record of {DEAD_LETTERS_PREFIX}: {error}") from None


_OF_DEAD_LETTER = frozenset({"schema", "message_id", "body", "system_attributes", "message_attributes", "failure"})


def as_stored(dead_letter: DeadLetter, name: str, key: str, arrivals: Mapping[str, int]) -> DeadLetter:
    """A dead letter as it is known once it is stored."""
    return replace(dead_letter, id=name, receipt="", stored_key=key, known_as=frozenset(arrivals))


def first_failed_ms(dead_letter: DeadLetter) -> int:
    """When it first failed, as far as that is known; the same for each copy, and each time that it returns."""
    try:
        stated = dead_letter.failure.first_failed_at if dead_letter.failure else ""
        first_ms = int(datetime.fromisoformat(stated).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return dead_letter.sent_ms
    return first_ms if 0 <= first_ms < NEVER_MS else dead_letter.sent_ms


def _fields(value: Sending | Claim | Hold | Retry | None) -> dict[str, object] | None:
    return None if value is None else {name: getattr(value, name) for name in value.__slots__}


def _sending(found: object) -> Sending | None:
    if not isinstance(found, dict):
        return None
    by, run, to = (str(found[name]) for name in ("by", "run", "to"))
    return Sending(_ms(found["at_ms"]), by, run, to, _ms(found["unconfirmed_ms"]))


def _claim(found: object) -> Claim | None:
    if not isinstance(found, dict):
        return None
    return Claim(str(found["holder"]), str(found["run"]), _ms(found["until_ms"]))


def _hold(found: object) -> Hold | None:
    return Hold(str(found["reason"]), str(found["by"])) if isinstance(found, dict) else None


def _retry(found: object) -> Retry:
    if not isinstance(found, dict):
        return Retry()
    at_ms = found["at_ms"]
    return Retry(_ms(found["count"]), None if at_ms is None else _ms(at_ms), _text(found.get("by")))


def _text(found: object) -> str | None:
    return found if isinstance(found, str) else None


def _ms(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < NEVER_MS:
        raise TypeError("a time is not a number of milliseconds")
    return value
