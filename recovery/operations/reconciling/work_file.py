"""The temporary SQLite file in which the listing, the index and what is held are joined: memory stays the same at any size.

Everything goes through it, in whatever order it comes, so that no store's order of listing has to be known or trusted. It
takes under a kilobyte of disk for an object. It is also the checkpoint: each page of the listing is stored in one transaction
with where the listing goes on, so a run that was killed is continued by the next one on the same host. A checkpoint in the
state bucket would have to contain all that was read.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from recovery.operations.reconciling.request import HELD_STATES, LOST, STATES, ReconcileState
from recovery.operations.reconciling.work_tables import (
    IS_ABOUT,
    IS_LOST,
    ORPHAN,
    POSITION,
    RESOLVED,
    connected,
    note,
    transaction,
)
from worker.core.index import Entry
from worker.core.s3.objects import ListedObject

ORPHAN_NAME = "orphan"
"""In place of a state's name."""
OTHERS = "*"
MAX_PREFIXES = 100
"""Number of prefixes with counts of their own: there may be as many as objects."""
SECOND_LOOK = 500
"""Number of suspects that are looked at again at once."""


class Held(NamedTuple):
    """One record or message that holds an object, so that it is not lost."""

    key: str
    state: ReconcileState
    etag: str | None
    """The object's etag, as far as what is held says."""
    failed_ms: int
    """When it failed, ms since the epoch."""


class Suspect(NamedTuple):
    """An object or document that the first look found lost."""

    key: str
    state: int
    """Its position in STATES, or ORPHAN."""
    version: int | None
    """The document's; None if there was none."""
    etag: str | None
    """The listed object's; None for an orphan."""
    modified_ms: int | None


class Line(NamedTuple):
    """One object or orphan, as files of the result have it."""

    key: str
    state: str
    etag: str | None
    size: int | None
    modified_ms: int | None


class PrefixCount(NamedTuple):
    """How many objects are in a state under one prefix."""

    prefix: str
    """The place's own and the next segment of the keys; OTHERS for all that are not among the first."""
    state: ReconcileState
    objects: int
    size_bytes: int


class WorkFile:
    """The work file of one run. `documents` may be filled on another thread, by `filling`; the rest is for one thread."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        """See `work_file`."""
        self._path = path
        self._db = db

    # -- facts -------------------------------------------------------------------------------------------------------

    def fact(self, name: str) -> Any:
        """A fact about the run; None if it is not known yet."""
        row = self._db.execute("SELECT value FROM facts WHERE name=?", (name,)).fetchone()
        return None if row is None else row[0]

    def remember(self, **facts: object) -> None:
        """Store facts."""
        with transaction(self._db):
            note(self._db, facts)

    def finish(self) -> None:
        """Note that the result is known: no later run goes on with this file, however this one ends."""
        self.remember(finished=1)

    # -- filling -----------------------------------------------------------------------------------------------------

    def add_objects(self, objects: Sequence[ListedObject], token: str | None) -> None:
        """Add a page of the listing, and where it goes on; None: it is complete. A key that is listed again is repeated."""
        rows = [(one.key, one.etag, one.size, one.modified_ms) for one in objects]
        with transaction(self._db):
            new = self._db.executemany("INSERT OR IGNORE INTO objects VALUES (?,?,?,?)", rows).rowcount if rows else 0
            listed, repeated = ((self.fact(name) or 0) for name in ("listed", "repeated"))
            facts = {"listed": listed + len(rows), "repeated": repeated + len(rows) - new, "token": token}
            note(self._db, {**facts, "listing_read": int(token is None)})

    def forget_objects(self) -> None:
        """Remove what was listed, to begin the listing again."""
        with transaction(self._db):
            self._db.execute("DELETE FROM objects")
            note(self._db, {"listed": 0, "repeated": 0, "token": None})

    def hold(self, held: Iterable[Held]) -> None:
        """Replace what is held."""
        with transaction(self._db):
            self._db.execute("DELETE FROM held")
            rows = ((one.key, POSITION[one.state], one.etag, one.failed_ms) for one in held)
            self._db.executemany("INSERT INTO held VALUES (?,?,?,?)", rows)

    @contextmanager
    def filling(self) -> Iterator[Callable[[Sequence[Entry]], None]]:
        """A function that adds documents, for the thread that enters this; those of an interrupted attempt are removed."""
        with closing(connected(self._path)) as db:
            with transaction(db):
                db.execute("DELETE FROM documents")

            def add(entries: Sequence[Entry]) -> None:
                rows = [(one.key, one.etag, one.version) for one in entries if one.is_reachable]
                with transaction(db):
                    db.executemany("INSERT OR REPLACE INTO documents VALUES (?,?,?)", rows)

            yield add

    def keys(self, after: str, count: int) -> list[str]:
        """The next keys of listed objects."""
        ask = "SELECT key FROM objects WHERE key > ? ORDER BY key LIMIT ?"
        return [key for (key,) in self._db.execute(ask, (after, count))]

    def keep_some(self, count: int) -> None:
        """Keep so many of the listed objects, chosen at random."""
        with transaction(self._db):
            self._db.execute(
                "DELETE FROM objects WHERE key NOT IN (SELECT key FROM objects ORDER BY random() LIMIT ?)", (count,)
            )

    # -- the first look and the second -------------------------------------------------------------------------------

    def account(self, *, orphans: bool) -> int:
        """The first look: give each object its state, and find the documents without an object if `orphans`.

        Returns how many of them are to be looked at again.
        """
        with transaction(self._db):
            self._db.execute("DELETE FROM accounted")
            self._db.execute("INSERT INTO accounted SELECT key, state, size, version FROM entries")
            if orphans:
                self._db.execute(
                    "INSERT INTO accounted SELECT d.key, ?, 0, d.version FROM documents d LEFT JOIN objects o ON o.key = d.key "
                    "WHERE o.key IS NULL",
                    (ORPHAN,),
                )
        return self._number(f"SELECT count(*) FROM accounted WHERE {IS_LOST}")  # noqa: S608 (of constants, as below)

    def suspects(self, after: str) -> list[Suspect]:
        """The next ones that seem to be lost, after a key."""
        ask = (
            "SELECT a.key, a.state, a.version, o.etag, o.modified_ms FROM accounted a LEFT JOIN objects o ON o.key = a.key "  # noqa: S608
            f"WHERE a.{IS_LOST} AND a.key > ? ORDER BY a.key LIMIT ?"
        )
        return [Suspect(*row) for row in self._db.execute(ask, (after, SECOND_LOOK))]

    def conclude(self, finals: Iterable[tuple[str, int]]) -> None:
        """Store what the second look found: the key of each suspect, and its state, ORPHAN or RESOLVED."""
        with transaction(self._db):
            for key, final in finals:
                if final == RESOLVED:
                    self._db.execute("DELETE FROM accounted WHERE key=?", (key,))
                else:
                    self._db.execute("UPDATE accounted SET state=? WHERE key=?", (final, key))

    # -- results -----------------------------------------------------------------------------------------------------

    def objects(self) -> int:
        """The number of objects."""
        return self._number("SELECT count(*) FROM objects")

    def documents(self) -> int:
        """The number of documents."""
        return self._number("SELECT count(*) FROM documents")

    def states(self) -> dict[ReconcileState, tuple[int, int]]:
        """The number of objects in each state, and of their bytes."""
        ask = "SELECT state, count(*), sum(size) FROM accounted WHERE state < ? GROUP BY state"
        found = {STATES[state]: (count, size) for state, count, size in self._db.execute(ask, (ORPHAN,))}
        return {state: found.get(state, (0, 0)) for state in STATES}

    def orphans(self) -> int:
        """The number of documents without an object."""
        return self._number(f"SELECT count(*) FROM accounted WHERE {IS_LOST} AND state = ?", ORPHAN)  # noqa: S608

    def from_future(self, after_ms: int) -> Iterator[tuple[str, int, bool]]:
        """The documents with a version after this time: key, version, and whether there is an object."""
        ask = (
            "SELECT d.key, d.version, o.key IS NOT NULL FROM documents d LEFT JOIN objects o ON o.key = d.key "
            "WHERE d.version > ? ORDER BY d.key"
        )
        yield from ((key, version, bool(exists)) for key, version, exists in self._db.execute(ask, (after_ms,)))

    def current_dead(self) -> int:
        """The number of current objects that also have a dead letter about their present state."""
        ask = (
            "SELECT count(DISTINCT o.key) FROM held h JOIN objects o ON o.key = h.key JOIN accounted a ON a.key = h.key "  # noqa: S608
            f"WHERE h.state = ? AND a.state = ? AND {IS_ABOUT}"
        )
        return self._number(ask, POSITION[ReconcileState.DEAD], POSITION[ReconcileState.CURRENT])

    def skipped_indexed(self) -> int:
        """The number of skipped objects that have a document."""
        ask = "SELECT count(*) FROM accounted WHERE state = ? AND version IS NOT NULL"
        return self._number(ask, POSITION[ReconcileState.SKIPPED])

    def lost(self, *states: str, limit: int = -1) -> Generator[tuple[str, int | None], None, None]:
        """Key and document's version of what is lost, `orphan` or a state, in the order of keys."""
        wanted = ",".join(str(ORPHAN if name == ORPHAN_NAME else POSITION[ReconcileState(name)]) for name in states)
        ask = f"SELECT key, version FROM accounted WHERE {IS_LOST} AND state IN ({wanted}) ORDER BY key LIMIT ?"  # noqa: S608
        yield from self._db.execute(ask, (limit,))

    def not_current(self) -> Iterator[str]:
        """The keys of objects that are to be in the index, and are accounted for elsewhere or young, in order."""
        states = ",".join(str(POSITION[state]) for state in (ReconcileState.YOUNG, *HELD_STATES))
        for (key,) in self._db.execute(f"SELECT key FROM accounted WHERE state IN ({states}) ORDER BY key"):  # noqa: S608
            yield key

    def lost_objects(self) -> Iterator[str]:
        """The keys of objects that are lost, in order."""
        yield from (key for key, _ in self.lost(*LOST))

    def orphan_keys(self) -> Iterator[str]:
        """The keys of documents without an object, in order."""
        yield from (key for key, _ in self.lost(ORPHAN_NAME))

    def by_prefix(self, place_prefix: str) -> list[PrefixCount]:
        """Objects and bytes by prefix and state: first the prefixes with most that is lost, then the largest."""
        length = len(place_prefix)
        part = f"substr(key, 1, {length} + instr(substr(key, {length + 1}), '/'))"
        self._db.execute("DROP TABLE IF EXISTS temp.parts")
        self._db.execute(
            f"CREATE TEMP TABLE parts AS SELECT {part} AS part, state, count(*) AS objects, sum(size) AS size "  # noqa: S608
            f"FROM accounted WHERE state < {ORPHAN} GROUP BY 1, 2"
        )
        order = f"sum(objects * ({IS_LOST})) DESC, sum(objects) DESC, part"
        rank = f"SELECT part, row_number() OVER (ORDER BY {order}) AS place FROM parts GROUP BY part"  # noqa: S608
        shown = f"min(place, {MAX_PREFIXES + 1})"
        ask = (
            f"SELECT CASE WHEN place > {MAX_PREFIXES} THEN ? ELSE part END, state, sum(objects), sum(size) "  # noqa: S608
            f"FROM parts JOIN ({rank}) USING (part) GROUP BY {shown}, state ORDER BY {shown}, state"
        )
        return [PrefixCount(name, STATES[state], *rest) for name, state, *rest in self._db.execute(ask, (OTHERS,))]

    def lines(self) -> Iterator[Line]:
        """Every object and every document without one, in the order of keys."""
        ask = (
            "SELECT a.key, a.state, o.etag, o.size, o.modified_ms FROM accounted a LEFT JOIN objects o ON o.key = a.key "
            "ORDER BY a.key"
        )
        for key, state, *rest in self._db.execute(ask):
            yield Line(key, ORPHAN_NAME if state == ORPHAN else STATES[state].value, *rest)

    def _number(self, ask: str, *values: int) -> int:
        return int(self._db.execute(ask, values).fetchone()[0])
