"""The ledger: a row for each dead letter, for lists, groups, statistics and plans. The objects in S3 are the source of truth."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from recovery.ledger import changes, groups, intake, leases, lookups, migrating, pages, scheduled, statistics, summaries
from recovery.ledger.address import SQLITE, file_of, ledger_url
from recovery.ledger.answers import Answers
from recovery.ledger.changes import Changed
from recovery.ledger.codec import rows_by_identity, rows_by_key
from recovery.ledger.database import TIMEOUT_S, Database
from recovery.ledger.ended_sessions import EndedSessions
from recovery.ledger.errors import LedgerError, UnknownDeadLetterError, VersionConflictError
from recovery.ledger.execution import Execution
from recovery.ledger.group_facts import GroupFacts
from recovery.ledger.groups import LARGEST, MAX_GROUPS, Group, GroupOrder
from recovery.ledger.lookups import Known, LedgerInfo
from recovery.ledger.migrating import SchemaState
from recovery.ledger.operations import Operations
from recovery.ledger.outbox import Outbox
from recovery.ledger.pages import Order, Page, Sort
from recovery.ledger.particular import Particular
from recovery.ledger.plans import Plans
from recovery.ledger.rows import Arrival, ArrivalRow, Change, Event, Row, Taken
from recovery.ledger.scheduled import Scheduled
from recovery.ledger.selection import Selection
from recovery.ledger.statistics import COUNTED_TO, Stats
from recovery.ledger.suggestions import Suggestions
from recovery.ledger.summaries import Backlog
from recovery.ledger.tokens import Tokens

PRUNED_AT_ONCE = 2_000
"""Rows of one transaction of `prune`: 10,000 made other writers wait for over a second."""


def open_ledger(url: str, *, timeout_s: float = TIMEOUT_S) -> "Ledger":
    """Open the ledger, ready for use; SQLite's file is created and migrated as needed.

    `timeout_s`: how long a call waits for another writer, or for a server. Raises ConfigError for a wrong URL, and LedgerError
    where the database cannot be used, or is PostgreSQL and has to be migrated by command.
    """
    ledger = unready_ledger(url, timeout_s=timeout_s)
    try:
        _make_ready(ledger)
    except BaseException:
        ledger.close()
        raise
    return ledger


def unready_ledger(url: str, *, timeout_s: float = TIMEOUT_S) -> "Ledger":
    """The ledger in whatever state its database is: only `schema_state` and `migrate` work before that is current.

    Raises ConfigError for a wrong URL, and LedgerError.
    """
    return Ledger(Database(ledger_url(url), timeout_s=timeout_s))


def is_missing(url: str) -> bool:
    """Whether this is the URL of a SQLite file that does not exist; opening it would create it. Raises ConfigError."""
    made = ledger_url(url)
    return made.drivername == SQLITE and not file_of(made).exists()


def _make_ready(ledger: "Ledger") -> None:
    state = ledger.schema_state()
    if state is SchemaState.NEWER:
        raise LedgerError(
            f"the ledger {ledger.shown} was migrated by a newer version of this program: install that one"
        )
    if state is SchemaState.CURRENT:
        return
    if not ledger.is_sqlite:
        why = "is empty" if state is SchemaState.EMPTY else "is of an older version"
        raise LedgerError(f"the ledger {ledger.shown} {why}: run `dlq-manager migrate`")
    ledger.migrate()


class Ledger:
    """All that is done with the ledger; threads may share it. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        """`database` may be empty or of any version: only `schema_state` and `migrate` work before it is current."""
        self._database = database
        self.tokens, self.ended_sessions = Tokens(database), EndedSessions(database)
        self.outbox = Outbox(database)
        self.suggestions, self.group_facts = Suggestions(database), GroupFacts(database)
        self.particular = Particular(database)
        database.create_file()
        self.plans, self.answers = Plans(database), Answers(database)
        self.operations, self.execution = Operations(database), Execution(database)

    @property
    def shown(self) -> str:
        """Its address, without the password."""
        return self._database.shown

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file on this machine."""
        return self._database.is_sqlite

    def close(self) -> None:
        """Close its connections."""
        self._database.close()

    # -- schema --------------------------------------------------------------------------------------------------

    def schema_state(self) -> SchemaState:
        """How the database's schema compares with this version's."""
        with self._database.reading() as connection:
            return migrating.schema_state(connection)

    def migrate(self) -> None:
        """Bring it to this version's schema; nothing where it is. Raises LedgerError where it is newer."""
        with self._database.writing() as connection:
            if migrating.schema_state(connection) is SchemaState.NEWER:
                raise LedgerError(f"the ledger {self.shown} was migrated by a newer version of this program")
            migrating.migrate(connection)

    def info(self) -> LedgerInfo:
        """Which ledger this is."""
        with self._database.reading() as connection:
            return lookups.info(connection)

    def ledger_id(self) -> str:
        """Its id, a random UUID."""
        return self.info().id

    def check(self) -> None:
        """Return if it can be written to now."""
        with self._database.writing() as connection:
            lookups.set_mark(connection, "checked", str(_now_ms()))

    # -- writing -------------------------------------------------------------------------------------------------

    def take_in(self, batch: Sequence[Arrival]) -> dict[str, Taken]:
        """Write what arrived in the DLQ, in one transaction: new rows, returns. What each DLQ id meant, by id.

        A known DLQ id changes nothing. A return takes its state and what failed from the given row, and keeps what was done and
        said; it counts an attempt and is an event.
        """
        if not batch:
            return {}
        with self._database.writing() as connection:
            return intake.take_in(connection, batch)

    def change(
        self, identity: str, *, version: int | None, by: str, action: str,
        details: Mapping[str, object] | None = None, **fields: object,
    ) -> Row:  # fmt: skip
        """Set fields of one row, if it is of this version (None: of any); the row as it is then.

        Raises VersionConflictError, or UnknownDeadLetterError; ValueError for a field that cannot be set.
        """
        changed = self.change_many([Change(identity, action, by, fields, details or {}, version)])
        if changed.unknown:
            raise UnknownDeadLetterError(f"there is no dead letter {identity}")
        if version is not None and identity in changed.conflicts:
            raise VersionConflictError(identity, wanted=version, found=changed.conflicts[identity])
        return changed.rows[identity]

    def change_many(self, wanted: Sequence[Change]) -> Changed:
        """Make up to MAX_CHANGES changes of different rows in one transaction; those of another version are left out."""
        if not wanted:
            return Changed()
        with self._database.writing() as connection:
            return changes.change_many(connection, wanted, now_ms=_now_ms())

    def restore_rows(
        self, rows: Sequence[Row], arrivals: Iterable[ArrivalRow] = (), events: Iterable[Event] = ()
    ) -> None:
        """Write rows exactly as they are, for a rebuild. Earlier ones of the same identities are replaced.

        Raises ValueError for an arrival or event whose dead letter has no row.
        """
        with self._database.writing() as connection:
            changes.restore_rows(connection, rows, arrivals, events)

    def prune(self, before_ms: int) -> int:
        """Delete recovered, archived and abandoned rows that were last changed before; how many they were."""
        total = 0
        while True:
            with self._database.writing() as connection:
                pruned = changes.prune(connection, before_ms, at_most=PRUNED_AT_ONCE)
            total += pruned
            if pruned < PRUNED_AT_ONCE:
                return total

    # -- leases and marks ----------------------------------------------------------------------------------------

    def claim(self, name: str, holder: str, ttl_s: float) -> int | None:
        """Take a lease that nobody holds; its epoch, or None. `holder` must be unique to this process."""
        with self._database.writing() as connection:
            return leases.claim(connection, self._database.now_sql, name, holder, ttl_s)

    def renew(self, name: str, holder: str, epoch: int, ttl_s: float) -> bool:
        """Hold it for `ttl_s` from now. False if it is lost."""
        with self._database.writing() as connection:
            return leases.renew(connection, self._database.now_sql, name, holder, epoch, ttl_s)

    def release(self, name: str, holder: str, epoch: int) -> bool:
        """Let it go. False if it was lost."""
        with self._database.writing() as connection:
            return leases.release(connection, name, holder, epoch)

    def get_mark(self, name: str) -> str | None:
        """What was last set under a name, such as how far the audit was followed."""
        with self._database.reading() as connection:
            return lookups.get_mark(connection, name)

    def set_mark(self, name: str, value: str) -> None:
        """Remember a small text under a name."""
        with self._database.writing() as connection:
            lookups.set_mark(connection, name, value)

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, any_id: str) -> Row | None:
        """The row of a dead letter, by its identity or by any DLQ id that it has had."""
        with self._database.reading() as connection:
            return lookups.get(connection, any_id)

    def by_identity(self, identities: Iterable[str]) -> dict[str, Row]:
        """The rows of these dead letters, by identity; unknown ones are left out."""
        with self._database.reading() as connection:
            return rows_by_identity(connection, identities)

    def known(self, message_ids: Iterable[str], identities: Iterable[str]) -> Known:
        """What of these DLQ ids was taken in, and which of these dead letters have records."""
        with self._database.reading() as connection:
            return lookups.known(connection, message_ids, identities)

    def known_messages(self, message_ids: Iterable[str]) -> dict[str, str]:
        """The identity behind each of these DLQ ids; unknown ones are left out."""
        with self._database.reading() as connection:
            return intake.known_messages(connection, message_ids)

    def messages_of(self, identity: str) -> Sequence[tuple[str, int]]:
        """Every DLQ id that a dead letter has had, with its time in ms."""
        with self._database.reading() as connection:
            return lookups.messages_of(connection, identity)

    def events(self, identity: str, *, after: int = 0, limit: int = 100) -> list[Event]:
        """What was done to a dead letter, the oldest first, from the event after number `after`."""
        with self._database.reading() as connection:
            return lookups.events_of(connection, identity, after=after, limit=limit)

    def page(
        self, selection: Selection, *, sort: Sort = Sort.LAST_SEEN, descending: bool = True,
        after: str | None = None, offset: int = 0, limit: int = 100,
    ) -> Page:  # fmt: skip
        """Some rows in order, and the cursor for what follows them. Raises AskedWronglyError for a wrong cursor or limit."""
        with self._database.reading() as connection:
            return pages.page(connection, selection, Order(sort, descending), after=after, offset=offset, limit=limit)

    def rows(self, selection: Selection) -> Iterator[Row]:
        """Every row of a selection as of one moment, streamed. Close the iterator where it is not read to its end."""
        with self._database.reading() as connection:
            yield from pages.rows(connection, selection)

    def due(self, now_ms: int, *, limit: int = 100) -> list[Row]:
        """Scheduled dead letters whose time has come, the longest overdue first; those that are held are left out."""
        with self._database.reading() as connection:
            return lookups.due(connection, now_ms, limit=limit)

    def scheduled(self, now_ms: int) -> Scheduled:
        """How much is scheduled, and when it will be sent."""
        with self._database.reading() as connection:
            return scheduled.scheduled(connection, now_ms)

    def count(self, selection: Selection, *, at_most: int = COUNTED_TO) -> int:
        """The exact number up to `at_most`; `at_most` + 1 says that there are more."""
        with self._database.reading() as connection:
            return statistics.count(connection, selection, at_most=at_most)

    def groups(self, selection: Selection, *, limit: int = 100, order: GroupOrder = LARGEST) -> list[Group]:
        """The first groups of a selection in an order, at most MAX_GROUPS."""
        with self._database.reading() as connection:
            return groups.groups(connection, selection, limit=min(limit, MAX_GROUPS), order=order)

    def stats(self) -> Stats:
        """The statistics of all dead letters."""
        with self._database.reading() as connection:
            return statistics.stats(connection, _now_ms())

    def backlog(self, quantiles: Sequence[float]) -> Backlog:
        """How old the waiting dead letters are, and what of them is nobody's or comes again and again."""
        with self._database.reading() as connection:
            return summaries.backlog(connection, _now_ms(), quantiles)

    def by_key(self, keys: Iterable[str]) -> dict[str, Row]:
        """The rows that have these keys of records, by key; unknown ones are left out."""
        with self._database.reading() as connection:
            return rows_by_key(connection, keys)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
