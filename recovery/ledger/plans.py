"""Plans: frozen sets of dead letters, each in the generation that it had at one moment, on which an operation is to act.

What a plan selects is read in one transaction, as of one moment, and nothing else than rows; it is written in chunks, each in a
transaction of its own, so that no other writer waits long. A plan is used once, within EXPIRES_MS.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Text, bindparam, delete, func, insert, select, text, update

from recovery.ledger import answers
from recovery.ledger.answers import Answer, Asked
from recovery.ledger.bulk import insert_many
from recovery.ledger.database import Database
from recovery.ledger.refusals import Limits, Verb, refusal_sql
from recovery.ledger.schema_operations import operations, plan_items, plans
from recovery.ledger.search import plan as way_to
from recovery.ledger.selection import Selection

EXPIRES_MS = 15 * 60_000
"""A plan is what somebody has just looked at."""
MAX_ITEMS = 1_000_000
CHUNK = 10_000
"""Items of one transaction: about 50 ms, in which other writers wait."""
IDS_AT_ONCE = 500
_COLUMNS = ("plan", "place", "dead_letter", "generation", "state", "twice")
_Found = tuple[int, int, int, int]
"""When it was sent, its number, its generation, its size: a plan's order is that of the first two."""


class TooManyError(ValueError):
    """Raised when more than MAX_ITEMS dead letters are selected."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be planned."""

    verb: Verb
    by: str
    options: Mapping[str, object] = field(default_factory=dict)
    selection: Selection | None = None
    query: str | None = None
    """The text from which the selection was read."""
    ids: tuple[str, ...] = ()
    """Identities, or ids in the DLQ; in place of a selection."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Plan:
    """A frozen set of dead letters."""

    id: str
    verb: Verb
    options: Mapping[str, object]
    query: str | None
    by: str
    created_ms: int
    """As of this moment."""
    expires_ms: int
    count: int
    """On how many an operation is going to act."""
    size_bytes: int
    refused: Mapping[str, int]
    """How many were selected, but must not be acted upon, by reason."""
    operation: str | None = None
    """The operation that uses it."""


Answering = tuple[Asked, Callable[[Plan], Answer]]
"""The request that asks for a plan, and what it is answered."""


class Plans:
    """The plans of one ledger. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, wanted: Wanted, answering: Answering | None = None) -> Plan:
        """Freeze what is wanted, up to MAX_ITEMS dead letters. Raises TooManyError; nothing is kept then."""
        with self._database.reading() as connection:
            now_ms = int(connection.execute(text(f"SELECT {self._database.now_sql}")).scalar_one())
            found, refused = _select(connection, wanted)
        number, plan = self._begin(wanted, found, refused, now_ms)
        for start in range(0, len(found), CHUNK):
            with self._database.writing() as connection:
                _insert(connection, number, start, found[start : start + CHUNK])
        with self._database.writing() as connection:
            connection.execute(update(plans).where(plans.c.number == number).values(ready=1))
            if answering is not None:
                asked, answer_of = answering
                answers.finish(connection, asked, answer_of(plan))
        return plan

    def get(self, plan_id: str) -> Plan | None:
        """A plan, also one that has expired, as long as it is kept."""
        with self._database.reading() as connection:
            query = _query().where(plans.c.id == plan_id, plans.c.ready == 1)
            found = connection.execute(query).one_or_none()
        return None if found is None else _plan(found)

    def prune(self) -> int:
        """Delete the items of plans that expired unused, and then the plans; how many items they were."""
        unused = select(plans.c.number).where(
            plans.c.expires_ms < text(f"{self._database.now_sql} - {EXPIRES_MS}"),
            ~select(operations.c.id).where(operations.c.plan == plans.c.number).exists(),
        )
        with self._database.reading() as connection:
            numbers = list(connection.execute(unused).scalars())
        return sum(self.delete(number) for number in numbers)

    def delete(self, number: int) -> int:
        """Delete a plan with its items, in chunks; how many they were."""
        total = 0
        while True:
            with self._database.writing() as connection:
                gone = delete_some_items(connection, number)
                if not gone:
                    connection.execute(delete(operations).where(operations.c.plan == number))
                    connection.execute(delete(plans).where(plans.c.number == number))
                    return total
            total += gone

    def _begin(
        self, wanted: Wanted, found: Sequence[_Found], refused: Mapping[str, int], now_ms: int
    ) -> tuple[int, Plan]:
        plan = Plan(
            str(uuid.uuid4()), wanted.verb, wanted.options, wanted.query, wanted.by, now_ms, now_ms + EXPIRES_MS,
            len(found), sum(one[3] for one in found), refused,
        )  # fmt: skip
        with self._database.writing() as connection:
            number = int(connection.execute(select(func.coalesce(func.max(plans.c.number), 0) + 1)).scalar_one())
            connection.execute(
                insert(plans).values(
                    number=number, id=plan.id, verb=plan.verb.value, options=dict(plan.options), query=plan.query, by=plan.by,
                    created_ms=now_ms, expires_ms=plan.expires_ms, ready=0, count=plan.count, size_bytes=plan.size_bytes,
                    refused=dict(refused),
                )
            )  # fmt: skip
        return number, plan


def delete_some_items(connection: Connection, number: int) -> int:
    """Delete up to CHUNK items of a plan; how many they were."""
    some = select(plan_items.c.place).where(plan_items.c.plan == number).order_by(plan_items.c.place).limit(CHUNK)
    last = connection.execute(select(func.max(some.subquery().c.place))).scalar_one()
    if last is None:
        return 0
    return connection.execute(
        delete(plan_items).where(plan_items.c.plan == number, plan_items.c.place <= last)
    ).rowcount


def _insert(connection: Connection, number: int, before: int, chunk: Sequence[_Found]) -> None:
    """Insert items that follow `before` others. PostgreSQL is given two arrays: at 100,000, each more takes 0.2 s."""
    if connection.dialect.name == "sqlite":
        rows = ((number, place, one[1], one[2], "planned", 0) for place, one in enumerate(chunk, before + 1))
        insert_many(connection, plan_items, _COLUMNS, rows)
        return
    connection.exec_driver_sql(
        f"INSERT INTO plan_items ({', '.join(_COLUMNS)}) SELECT %s, %s + u.place, u.number, u.generation, 'planned', 0 "  # noqa: S608
        "FROM unnest(CAST(%s AS bigint[]), CAST(%s AS bigint[])) WITH ORDINALITY AS u (number, generation, place)",
        (number, before, [one[1] for one in chunk], [one[2] for one in chunk]),
    )


def _query() -> Any:
    own = [column for column in plans.c if column.name not in {"number", "ready"}]
    return select(*own, operations.c.id.label("operation")).outerjoin(operations, operations.c.plan == plans.c.number)


def _plan(found: Any) -> Plan:
    values = dict(found._asdict())
    return Plan(**{**values, "verb": Verb(values["verb"])})


# -- selecting ---------------------------------------------------------------------------------------------------


def _select(connection: Connection, wanted: Wanted) -> tuple[list[_Found], dict[str, int]]:
    """What is planned, in order; and how much is refused, by reason."""
    found: list[_Found] = []
    refused: Counter[str] = Counter()
    for sent_ms, number, generation, size_bytes, refusal in _rows(connection, wanted, refused):
        if refusal is not None:
            refused[refusal] += 1
            continue
        found.append((sent_ms, number, generation, size_bytes))
        if len(found) > MAX_ITEMS:
            raise TooManyError(
                f"more than {MAX_ITEMS:,} dead letters are selected; that is the most that fit into one plan"
            )
    found.sort(key=itemgetter(0, 1))
    return found, dict(refused)


def _rows(connection: Connection, wanted: Wanted, refused: Counter[str]) -> Iterator[Any]:
    columns = f"d.sent_ms, d.id, d.generation, d.size_bytes, {refusal_sql(wanted.verb, wanted.limits)}"
    if wanted.selection is None:
        yield from _rows_of_ids(connection, wanted.ids, columns, refused)
        return
    way = way_to(connection, wanted.selection)
    for query in way.select(columns, join="JOIN classes c ON c.id = d.class_id"):
        options = {"yield_per": CHUNK}
        with connection.execute(text(query), way.parameters, execution_options=options) as result:
            yield from result


def _rows_of_ids(connection: Connection, ids: Iterable[str], columns: str, refused: Counter[str]) -> Iterator[Any]:
    """The rows of these, by identity or by any id that they had in the DLQ; each once."""
    seen: set[int] = set()
    query = text(
        f"SELECT n.id AS name, {columns} FROM (SELECT d.identity AS id, d.id AS number FROM dead_letters d "  # noqa: S608
        "WHERE d.identity IN :ids UNION SELECT a.message_id, a.dead_letter FROM arrivals a WHERE a.message_id IN :ids) n "
        "JOIN dead_letters d ON d.id = n.number JOIN classes c ON c.id = d.class_id"
    )
    remaining = iter(dict.fromkeys(ids))
    while some := list(islice(remaining, IDS_AT_ONCE)):
        given = bindparam("ids", some, type_=Text, expanding=True)
        known = set()
        for name, *rest in connection.execute(query.bindparams(given)):
            known.add(name)
            if rest[1] not in seen:
                seen.add(rest[1])
                yield rest
        if unknown := len(some) - len(known):
            refused["unknown"] += unknown
