"""Takes arrivals in: a new row for a new dead letter, one more attempt for a known one, nothing for a repeated delivery."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import Connection

from recovery.ledger import group_counters, outcomes, texts
from recovery.ledger.bulk import insert_many, last_number, select_in, update_many
from recovery.ledger.codec import COLUMNS_OF_OWN, Class, Texts, class_ids, rows_by_identity, storable, values
from recovery.ledger.counters import Tally
from recovery.ledger.news import write_arrived
from recovery.ledger.rows import Arrival, Event, Row, Taken
from recovery.ledger.schema import arrivals, dead_letters, events, hourly

HOUR_MS = 3_600_000
_ADD_TO_HOUR = "ON CONFLICT (hour, error_type, kind) DO UPDATE SET count = hourly.count + excluded.count"
_KEPT = (
    "id", "identity", "key", "body_sha256", "first_seen_ms", "retries", "sent_at_ms", "sent_by", "sent_to", "sent_run", "owner",
    "note", "hold",
)  # fmt: skip
"""What a return leaves as it is: what was done to the dead letter, and what people said about it."""


def take_in(connection: Connection, batch: Sequence[Arrival]) -> dict[str, Taken]:
    """Write a batch, in the caller's transaction. What each DLQ id meant, by id."""
    known = known_messages(connection, [arrival.message_id for arrival in batch])
    taken: dict[str, Taken] = {}
    fresh = list({arrival.message_id: arrival for arrival in reversed(batch)}.values())[::-1]
    todo = [arrival for arrival in fresh if arrival.message_id not in known]
    while todo:  # a batch may hold a dead letter twice, under two ids: each time it is another arrival
        first = {arrival.row.identity: arrival for arrival in reversed(todo)}
        taken.update(_take_in_once(connection, list(first.values())[::-1]))
        todo = [arrival for arrival in todo if first[arrival.row.identity] is not arrival]
    return {arrival.message_id: taken.get(arrival.message_id, Taken.REPEATED) for arrival in batch}


def known_messages(connection: Connection, message_ids: Iterable[str]) -> dict[str, str]:
    """The identity of the dead letter that had each of these DLQ ids; those that none had are left out."""
    query = (
        "SELECT a.message_id, d.identity FROM arrivals a JOIN dead_letters d ON d.id = a.dead_letter WHERE a.message_id"
    )
    return dict(map(tuple, select_in(connection, query, message_ids)))


def insert_rows(connection: Connection, rows: Sequence[Row], tally: Tally) -> dict[str, int]:
    """Insert rows that are new, as they are. The number of each, by identity."""
    if not rows:
        return {}
    kept = [Class.of(row) for row in rows]
    numbers = class_ids(connection, set(kept))
    after = last_number(connection, dead_letters) + 1
    numbered = [(number, row, numbers[one]) for number, (row, one) in enumerate(zip(rows, kept, strict=True), after)]
    inserted = (values(row, number=number, class_id=class_id) for number, row, class_id in numbered)
    insert_many(connection, dead_letters, COLUMNS_OF_OWN, inserted)
    texts.add(connection, [(number, Texts.of(row)) for number, row, _ in numbered])
    for _, row, class_id in numbered:
        tally.enter(class_id, row)
    return {row.identity: number for number, row, _ in numbered}


def update_rows(connection: Connection, changes: Sequence[tuple[Row, Row]], tally: Tally) -> None:
    """Write rows that have changed: (before, after), where both have the row's number."""
    if not changes:
        return
    kept = [(Class.of(old), Class.of(new)) for old, new in changes]
    numbers = class_ids(connection, {one for both in kept for one in both})
    written = []
    for (old, new), (before, after) in zip(changes, kept, strict=True):
        written.append(
            (values(old, number=old.id, class_id=numbers[before]), values(new, number=new.id, class_id=numbers[after]))
        )
        tally.leave(numbers[before], old)
        tally.enter(numbers[after], new)
    # Only columns that differ somewhere, for the sake of the indexes.
    places = [place for place in range(len(COLUMNS_OF_OWN)) if any(old[place] != new[place] for old, new in written)]
    columns = [COLUMNS_OF_OWN[place] for place in places]
    changed = ((*(new[place] for place in places), new[_ID]) for _, new in written)
    update_many(connection, dead_letters, columns, changed)
    texts.replace(connection, [(new.id, Texts.of(new)) for old, new in changes if _said(old) != _said(new)])


_said = attrgetter("object_key", "message", "about")
_ID = COLUMNS_OF_OWN.index("id")


def write_events(connection: Connection, written: Iterable[tuple[int, Event]]) -> None:
    """Add events, each with its dead letter's number."""
    added = (
        (number, one.at_ms, storable(one.by), storable(one.action), storable(orjson.dumps(dict(one.details)).decode()))
        for number, one in written
    )
    insert_many(connection, events, ("dead_letter", "at_ms", "by", "action", "details"), added)


def write_arrivals(connection: Connection, written: Iterable[tuple[int, str, int]]) -> None:
    """Add (dead letter's number, DLQ id, time) where the id is not known yet."""
    columns = ("dead_letter", "message_id", "at_ms")
    insert_many(connection, arrivals, columns, written, suffix="ON CONFLICT (message_id) DO NOTHING")


def _take_in_once(connection: Connection, batch: Sequence[Arrival]) -> dict[str, Taken]:
    """A batch in which every dead letter is there once, and every DLQ id is new."""
    tally = Tally()
    identities = [arrival.row.identity for arrival in batch]
    there = select_in(connection, "SELECT identity FROM dead_letters WHERE identity", identities)  # usually none
    known = rows_by_identity(connection, [identity for (identity,) in there])
    new = [arrival for arrival in batch if arrival.row.identity not in known]
    returned = [arrival for arrival in batch if arrival.row.identity in known]
    numbers = insert_rows(connection, [one.row for one in new], tally)
    changes = [(known[one.row.identity], _returned(known[one.row.identity], one)) for one in returned]
    update_rows(connection, changes, tally)
    numbers.update({identity: row.id for identity, row in known.items()})
    happened = [(one, _event(before, one)) for (before, _), one in zip(changes, returned, strict=True)]
    happened += [(one, Event(one.row.identity, one.at_ms, one.by, action)) for one in batch for action in one.also]
    write_events(connection, [(numbers[one.row.identity], event) for one, event in happened])
    write_arrivals(connection, [(numbers[one.row.identity], one.message_id, one.at_ms) for one in batch])
    write_arrived(connection, [(numbers[one.row.identity], one) for one in batch])
    outcomes.count(connection, changes, now_ms=batch[0].at_ms, have_returned=True)
    group_counters.count_arrivals(connection, batch, changes)
    _count_hours(connection, batch)
    tally.apply(connection)
    return {one.message_id: Taken.RETURNED if one.row.identity in known else Taken.NEW for one in batch}


def _returned(before: Row, arrival: Arrival) -> Row:
    """The row of a dead letter that failed once more. A failure record without its redrives does not take them away."""
    row = arrival.row
    return replace(
        row,
        **{name: getattr(before, name) for name in _KEPT},
        attempts=before.attempts + 1,
        redrives=max(before.redrives, row.redrives),
        first_failed_ms=min(
            before.first_failed_ms or row.first_failed_ms, row.first_failed_ms or before.first_failed_ms
        ),
        last_seen_ms=max(before.last_seen_ms, row.last_seen_ms),
        version=before.version + 1,
        generation=before.generation + 1,
        changed_ms=arrival.at_ms,
    )


def _event(before: Row, arrival: Arrival) -> Event:
    row = arrival.row
    details: dict[str, Any] = {
        "message_id": arrival.message_id,
        "from": before.state.value,
        "error_type": row.error_type,
    }
    return Event(row.identity, arrival.at_ms, arrival.by, "returned", details)


def _count_hours(connection: Connection, batch: Sequence[Arrival]) -> None:
    counts = Counter((one.at_ms // HOUR_MS, storable(one.row.error_type), one.row.kind.value) for one in batch)
    rows = ((*name, count) for name, count in sorted(counts.items()))
    insert_many(connection, hourly, ("hour", "error_type", "kind", "count"), rows, suffix=_ADD_TO_HOUR)
