"""How a Row stands in the tables: what it shares with others in `classes`, its texts for searching, the rest in its own row."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, insert

from recovery.ledger.bigrams import folded
from recovery.ledger.bulk import last_number, select_in
from recovery.ledger.rows import ROW_FIELDS, Row, State
from recovery.ledger.schema import classes
from worker.core.base.classify import FailureKind

CLASS_FIELDS = ("kind", "error_type", "type", "bucket", "fingerprint", "source_service", "source_queue")
OWN_FIELDS = tuple(name for name in ROW_FIELDS if name not in CLASS_FIELDS)
COLUMNS = ", ".join(f"c.{name}" if name in CLASS_FIELDS else f"d.{name}" for name in ROW_FIELDS)
"""Every field of a Row, in SQL, from JOINED."""
JOINED = "dead_letters d JOIN classes c ON c.id = d.class_id"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes no NUL, and no encoding a lone surrogate
COLUMNS_OF_OWN = (*OWN_FIELDS, "class_id")
_own = attrgetter(*OWN_FIELDS)
_texts = attrgetter(*(one.name for one in fields(Row) if one.name in OWN_FIELDS and one.type in {str, str | None}))
_shared = attrgetter(*CLASS_FIELDS)
_STATE, _KIND, _KEY = map(ROW_FIELDS.index, ("state", "kind", "object_key"))
_STATES = {state.value: state for state in State}  # several times as fast as State(value)
_KINDS = {kind.value: kind for kind in FailureKind}
_OBJECT_KEY, _CHANGED, _ID = map(OWN_FIELDS.index, ("object_key", "changed_ms", "id"))


class Texts(NamedTuple):
    """What substrings are looked for in, folded."""

    key: str
    said: str

    @classmethod
    def of(cls, row: Row) -> "Texts":
        """The object's key; and the error message and what the dead letter is about, on lines of their own."""
        return cls(folded(row.object_key or ""), folded(f"{row.message}\n{row.about}"))


# -- rows --------------------------------------------------------------------------------------------------------


def values(row: Row, *, number: int, class_id: int) -> list[Any]:
    """The values of COLUMNS_OF_OWN. Without a time of change, a row was changed when it was last seen."""
    found = list(_own(row))
    if _UNSTORABLE.search("".join(filter(None, _texts(row)))):
        found = [storable(value) if isinstance(value, str) else value for value in found]
    found[_OBJECT_KEY] = found[_OBJECT_KEY] or ""
    found[_CHANGED] = found[_CHANGED] or row.last_seen_ms
    found[_ID] = number
    return [*found, class_id]


def storable(value: str) -> str:
    """A text as both databases take it."""
    return _UNSTORABLE.sub("\ufffd", value)


def row_of(found: Sequence[Any]) -> Row:
    """The Row in the result of a query for COLUMNS."""
    made = list(found)
    made[_STATE], made[_KIND] = _STATES[made[_STATE]], _KINDS[made[_KIND]]
    made[_KEY] = made[_KEY] or None
    return Row(*made)


def rows_by_identity(connection: Connection, identities: Iterable[str]) -> dict[str, Row]:
    """Those that are known, by identity."""
    return {row.identity: row for row in _rows_by(connection, "identity", identities)}


def rows_by_key(connection: Connection, keys: Iterable[str]) -> dict[str, Row]:
    """Those that are known, by the key of their record."""
    return {row.key: row for row in _rows_by(connection, "key", keys)}


def _rows_by(connection: Connection, column: str, names: Iterable[str]) -> Iterator[Row]:
    query = f"SELECT {COLUMNS} FROM {JOINED} WHERE d.{column}"  # noqa: S608 (of fixed parts)
    return map(row_of, select_in(connection, query, names))


# -- classes -----------------------------------------------------------------------------------------------------


class Class(NamedTuple):
    """What dead letters share."""

    kind: str
    error_type: str
    type: str
    bucket: str
    fingerprint: str
    source_service: str
    source_queue: str

    @classmethod
    def of(cls, row: Row) -> "Class":
        """The class of a dead letter."""
        kind, *others = _shared(row)
        if _UNSTORABLE.search("".join(others)):
            others = list(map(storable, others))
        return cls(kind.value, *others)

    @property
    def digest(self) -> str:
        """What tells it from every other class."""
        return hashlib.sha256(orjson.dumps(list(self))).hexdigest()


def class_ids(connection: Connection, wanted: Iterable[Class]) -> Mapping[Class, int]:
    """The number of each class; those that are new are added. Only for a transaction that writes."""
    by_digest = {one.digest: one for one in wanted}
    query = "SELECT digest, id FROM classes WHERE digest"
    found = {by_digest[digest]: number for digest, number in select_in(connection, query, by_digest)}
    if missing := [(digest, one) for digest, one in by_digest.items() if one not in found]:
        last = last_number(connection, classes)
        numbered = [(last + place, digest, one) for place, (digest, one) in enumerate(missing, start=1)]
        connection.execute(
            insert(classes), [{"id": number, "digest": digest, **one._asdict()} for number, digest, one in numbered]
        )
        found.update({one: number for number, _, one in numbered})
    return found
