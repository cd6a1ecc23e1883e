"""What every verb is given, and what it returns."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from recovery.ledger.operation_items import Result
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Change, Row
from recovery.manager.records import FROM_RECORD, RowMaker
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.desk import Said, change_record
from recovery.operations.transfer.claims import Claims, Unreadable
from worker.core.audit import Run
from worker.core.base import concurrency
from worker.core.base.classify import is_transient
from worker.core.base.errors import StoreError
from worker.core.base.retry import retry_transient
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.queue import Queue
from worker.core.sqs.stored_dead_letter import StoredDeadLetter
from worker.core.sqs.visibility import VisibilityExtender

T = TypeVar("T")
R = TypeVar("R")

READERS = 10
"""Records that are read at once: a batch."""
VISIBILITY_S = 120
"""Nothing is received here; an extender needs a number all the same."""
GONE = "its record is gone"
NEVER = threading.Event()
"""What has begun is ended: a batch is short."""


class NotPossibleError(ValueError):
    """Raised where a record, as it is now, must not be changed; says why."""


@dataclass(frozen=True, slots=True)
class World:
    """What verbs act on."""

    clients: DlqClients
    state: State
    rows: RowMaker
    source: Queue
    """The queue to which dead letters are sent again, unless another is named."""
    queue: Callable[[str], Queue]
    """A queue by its URL."""


@dataclass(frozen=True, slots=True)
class Acted:
    """What has become of one dead letter."""

    row: Row
    state: Result
    """WAITING: something that is needed refused; it can be tried again."""
    result: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What its row is to say."""
    reason: str = ""
    """Why somebody wanted it, in their words."""
    in_doubt: bool = False
    """Whether it may have been sent though nothing says so: whoever sent it was killed, or SQS's answer was lost."""

    def change(self, verb: Verb, run: Run) -> Change | None:
        """The change of its row; None if nothing was done."""
        if self.state is not Result.DONE:
            return None
        said = {"result": self.result, "reason": self.reason}
        details = {"run": run.name, **{name: text for name, text in said.items() if text}}
        return Change(self.row.identity, verb.value, run.by, self.fields, details, self.row.version)


Options = Mapping[str, Any]
Act = Callable[[Sequence[Row]], list[Acted]]
"""Acts on up to ten dead letters, and says in the audit what it did. Raises WorkerError before it has done anything."""


@contextmanager
def claiming(world: World, run: Run) -> Iterator[Claims]:
    """Claims of this run on stored dead letters; they end with this context."""
    extender = VisibilityExtender(world.clients.dlq, visibility_s=VISIBILITY_S)
    claims = Claims(world.clients.dlq, world.state, run, extender, world.clients.objects.clock)
    try:
        yield claims
    finally:
        claims.release()


def not_acted(
    row: Row, refused: Mapping[str, str], records: Mapping[str, StoredDeadLetter | None], *,
    waits: type[str] = Unreadable,
) -> Acted:  # fmt: skip
    """What has become of one that was not acted upon: Claims refused it, or its record is gone.

    `waits`: the refusals after which it is tried again.
    """
    why = refused.get(row.identity)
    if why is None:
        return Acted(row, Result.FAILED, GONE if records[row.identity] is None else "nothing is known of it")
    return Acted(row, Result.WAITING if isinstance(why, waits) else Result.SKIPPED, why)


def read_records(world: World, rows: Iterable[Row]) -> dict[str, StoredDeadLetter | None]:
    """The records of dead letters, by identity; None where one is gone, or somebody else's. Raises StoreError."""

    def read(row: Row) -> StoredDeadLetter | None:
        try:
            return retry_transient(
                lambda: dead_letter_store.read(world.state, row.key), transient=is_transient, stop=NEVER
            )
        except ValueError:
            return None

    wanted = list(rows)
    return dict(zip((row.identity for row in wanted), at_once(read, wanted), strict=True))


def at_once(act: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Do the same with each dead letter of a batch at once; the results in order."""
    return concurrency.at_once(act, items, threads=READERS, name="acting")


def change_each(world: World, rows: Sequence[Row], change: Said) -> list[Acted]:
    """Change the records of a batch, whoever else writes them meanwhile. A NotPossibleError skips one, a ValueError fails it."""

    def one(row: Row) -> Acted:
        try:
            stored = retry_transient(
                lambda: change_record(world.state, row.key, change), transient=is_transient, stop=NEVER
            )
        except StoreError as error:
            return Acted(row, Result.WAITING, str(error))
        except NotPossibleError as error:
            return Acted(row, Result.SKIPPED, str(error))
        except ValueError as error:
            return Acted(row, Result.FAILED, str(error))
        if stored is None:
            return Acted(row, Result.FAILED, GONE)
        return Acted(row, Result.DONE, fields=as_recorded(world, stored))

    return at_once(one, rows)


def as_recorded(world: World, stored: StoredDeadLetter) -> dict[str, Any]:
    """What a record says was done and said: the fields of its row."""
    row = world.rows.row(stored)
    return {name: getattr(row, name) for name in FROM_RECORD}


def after_conflict(world: World, acted: Acted, change: Change, version: int) -> Change | None:
    """The same change of a row that somebody else has changed meanwhile: what its record says now, if there is one.

    A dead letter that was sent may have come back already: then it is open, and must not be said to be sent. None where the
    record cannot be read; the follower brings the row to it later.
    """
    try:
        stored = read_records(world, [acted.row])[acted.row.identity]
    except StoreError:
        return None
    fields = as_recorded(world, stored) if stored is not None else dict(change.fields)
    return Change(change.identity, change.action, change.by, fields, change.details, version)
