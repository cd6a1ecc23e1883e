"""What is asked about one dead letter, or one object: what may be done with it, and which dead letters are about it."""

from collections.abc import Iterable

from sqlalchemy import bindparam, select, text

from recovery.ledger.codec import COLUMNS, JOINED, row_of, storable
from recovery.ledger.database import Database
from recovery.ledger.refusals import Limits, Verb, refusal_sql
from recovery.ledger.rows import IN_ARCHIVE, Event, Row, State
from recovery.ledger.schema import dead_letters, events

_OF_OBJECT = text(
    f"SELECT {COLUMNS} FROM {JOINED} WHERE d.state IN :states AND d.object_key = :key AND c.bucket = :bucket "  # noqa: S608
    "ORDER BY d.last_seen_ms DESC, d.id DESC LIMIT :count"
).bindparams(bindparam("states", [state.value for state in State], expanding=True))
"""With the states, so that the index of states and keys serves."""


class Particular:
    """Questions to one ledger; threads may share it. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_object(self, bucket: str, key: str, *, limit: int) -> list[Row]:
        """Dead letters whose first object this is, in any state, those that were seen last first."""
        values = {"key": storable(key), "bucket": storable(bucket), "count": limit}
        with self._database.reading() as connection:
            return [row_of(found) for found in connection.execute(_OF_OBJECT, values)]

    def latest_events(self, identity: str, *, limit: int) -> list[Event]:
        """What was done to a dead letter, the latest first."""
        query = (
            select(dead_letters.c.identity, events.c.at_ms, events.c.by, events.c.action, events.c.details, events.c.id)
            .join(dead_letters, dead_letters.c.id == events.c.dead_letter)
            .where(dead_letters.c.identity == identity)
            .order_by(events.c.id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Event(*found) for found in connection.execute(query)]

    def endings(self, identities: Iterable[str]) -> dict[str, Event]:
        """What moved each of these to the archive, the last time; without those of which that is not known."""
        query = (
            select(dead_letters.c.identity, events.c.at_ms, events.c.by, events.c.action, events.c.details, events.c.id)
            .join(dead_letters, dead_letters.c.id == events.c.dead_letter)
            .where(
                dead_letters.c.identity.in_(list(identities)),
                dead_letters.c.state.in_(IN_ARCHIVE),
                events.c.details["to"].as_string().in_(IN_ARCHIVE),
            )
            .order_by(events.c.id)
        )
        with self._database.reading() as connection:
            return {found.identity: Event(*found) for found in connection.execute(query)}

    def refusals(self, identity: str, limits: Limits) -> dict[Verb, str | None]:
        """Why each verb must not act on a dead letter, as a plan would say it, or None; empty if it is not known."""
        cases = ", ".join(f"{refusal_sql(verb, limits)} AS {verb}_refused" for verb in Verb)
        query = text(f"SELECT {cases} FROM {JOINED} WHERE d.identity = :identity")  # noqa: S608 (of fixed parts)
        with self._database.reading() as connection:
            found = connection.execute(query, {"identity": identity}).mappings().one_or_none()
        return {} if found is None else {verb: found[f"{verb}_refused"] for verb in Verb}
