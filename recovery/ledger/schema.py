"""The ledger's tables, as SQLAlchemy's metadata. The migrations create them; a test compares the two on both databases.

What many dead letters share stands once, in `classes`; `cells` counts the dead letters of each class in each state, in the
same transaction as they change. So groups, statistics, and counts read a few hundred cells, not a million rows. The indexes
of `dead_letters` are those of a page: each sort order within a state, and within a class and a state. `texts` holds what
substrings are looked for in; their bigrams are in `grams`, an FTS5 table, on SQLite, and in two arrays on PostgreSQL.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

Big = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in a column of type INTEGER
Ordered = Text().with_variant(Text(collation="C"), "postgresql")  # by code point, as SQLite orders texts
VERSION_TABLE = "ledger_schema"
GRAMS = "grams"
CELL_SUMS = ("attempts", "redrives", "retries", "size_bytes")
"""What a cell adds up, beside the number of its dead letters."""
OUTCOMES = ("redriven", "returned", "archived", "abandoned")
"""What is counted in `outcomes`."""

metadata = MetaData()

ledger_info = Table(
    "ledger_info",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_ms", Big, nullable=False),
)

classes = Table(
    "classes",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),  # of all that follows: an index of the texts themselves could be too long
    Column("kind", Text, nullable=False),
    Column("error_type", Ordered, nullable=False),
    Column("type", Text, nullable=False),
    Column("bucket", Text, nullable=False),
    Column("fingerprint", Ordered, nullable=False),
    Column("source_service", Text, nullable=False),
    Column("source_queue", Text, nullable=False),
    UniqueConstraint("digest", name="classes_digest"),
)

cells = Table(
    "cells",
    metadata,
    Column("class_id", Big, ForeignKey("classes.id", name="cells_class"), primary_key=True),
    Column("state", Text, primary_key=True),
    Column("count", Big, nullable=False),
    *(Column(name, Big, nullable=False) for name in CELL_SUMS),
    Column("first_seen_ms", Big, nullable=False),  # the first and last times of its dead letters, while there are any
    Column("last_seen_ms", Big, nullable=False),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("class_id", Big, ForeignKey("classes.id", name="dead_letters_class"), nullable=False),
    Column("state", Text, nullable=False),
    Column("last_seen_ms", Big, nullable=False),
    Column("first_seen_ms", Big, nullable=False),
    Column("sent_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("generation", Big, nullable=False),
    Column("identity", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("object_key", Ordered, nullable=False),  # empty: none
    Column("correlation_id", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("body_sha256", Text, nullable=False),
    Column("size_bytes", Big, nullable=False),
    Column("attribute_count", Integer, nullable=False),
    Column("fault", Text),
    Column("attempts", Integer, nullable=False),
    Column("redrives", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("first_failed_ms", Big, nullable=False),
    Column("sent_at_ms", Big),
    Column("sent_by", Text),
    Column("sent_to", Text),
    Column("sent_run", Text),
    Column("retry_at_ms", Big),
    Column("retry_by", Text),
    Column("owner", Text),
    Column("note", Text),
    Column("hold", Text),
    Column("finding", Text),
    Column("outcome", Text),
    UniqueConstraint("identity", name="dead_letters_identity"),
    UniqueConstraint("key", name="dead_letters_key"),
    # The columns after `id` are there to be tested without a look at the row.
    Index("by_state_last_seen", "state", "last_seen_ms", "id", "class_id", "sent_ms"),
    Index("by_state_first_seen", "state", "first_seen_ms", "id", "class_id", "sent_ms"),
    Index("by_state_sent", "state", "sent_ms", "id", "class_id"),
    Index("by_state_object_key", "state", "object_key", "id", "class_id", "sent_ms"),
    Index("by_class_last_seen", "class_id", "state", "last_seen_ms", "id", "sent_ms", "first_seen_ms"),
    Index("by_class_first_seen", "class_id", "state", "first_seen_ms", "id", "sent_ms"),
    Index("by_class_sent", "class_id", "state", "sent_ms", "id"),
    Index("by_state_changed", "state", "changed_ms"),
)
_rare = {
    "correlation_id": text("correlation_id <> ''"),
    "owner": text("owner IS NOT NULL"),
    "hold": text("hold IS NOT NULL"),
}
for _name, _where in _rare.items():
    Index(f"by_{_name}", dead_letters.c[_name], sqlite_where=_where, postgresql_where=_where)
_is_scheduled = text("retry_at_ms IS NOT NULL")
Index(
    "by_state_retry_at", *(dead_letters.c[name] for name in ("state", "retry_at_ms", "id", "class_id", "sent_ms")),
    sqlite_where=_is_scheduled, postgresql_where=_is_scheduled,
)  # fmt: skip
_has_outcome = text("outcome IS NOT NULL")
Index(
    "by_outcome", dead_letters.c.outcome, dead_letters.c.state, sqlite_where=_has_outcome, postgresql_where=_has_outcome
)  # counted at each scrape

texts = Table(
    "texts",
    metadata,
    Column("id", Big, ForeignKey("dead_letters.id", name="texts_dead_letter"), primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),  # folded, as are the next (bigrams.py)
    Column("said", Text, nullable=False),
)

arrivals = Table(
    "arrivals",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("dead_letter", Big, ForeignKey("dead_letters.id", name="arrivals_dead_letter"), nullable=False),
    Column("at_ms", Big, nullable=False),
    Index("arrivals_of", "dead_letter"),
)

events = Table(
    "events",
    metadata,
    Column("id", Big, primary_key=True),
    Column("dead_letter", Big, ForeignKey("dead_letters.id", name="events_dead_letter"), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Index("events_of", "dead_letter", "id"),
)

hourly = Table(
    "hourly",
    metadata,
    Column("hour", Big, primary_key=True, autoincrement=False),  # hours since the epoch
    Column("error_type", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("count", Big, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until_ms", Big, nullable=False),
    Column("epoch", Big, nullable=False),
)

marks = Table(
    "marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("digest", Text, primary_key=True),  # SHA-256 of the secret, which is nowhere
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_ms", Big),
    Column("revoked_ms", Big),
    Column("revoked_by", Text),
    Column("used_ms", Big),
    UniqueConstraint("name", name="tokens_name"),
)

ended_sessions = Table(  # of people who have signed out, until their sessions would have ended by themselves
    "ended_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("until_ms", Big, nullable=False),
)

news = Table(  # arrivals, and other events, about which nobody has been notified yet
    "news",
    metadata,
    Column("id", Big, primary_key=True),
    Column("dead_letter", Big, ForeignKey("dead_letters.id", name="news_dead_letter"), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("reason", Text, nullable=False),
    Index("news_of", "dead_letter"),
)

topics = Table(  # what each recipient hears of: the groups, with what was not said yet
    "topics",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),  # the fingerprint, else the error type
    Column("fingerprint", Text, nullable=False),
    Column("error_type", Text, nullable=False),
    Column("waiting", Big, nullable=False),  # of which nothing was said yet; the next two are of these
    Column("first_ms", Big, nullable=False),
    Column("last_ms", Big, nullable=False),
    Column("example", Text, nullable=False),
    Column("total", Big, nullable=False),
    Column("told_ms", Big, nullable=False),  # 0: never
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Big, primary_key=True),
    Column("created_ms", Big, nullable=False),
    Column("about", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("next_ms", Big, nullable=False),
    Column("sent_ms", Big),
    Index("notifications_by_state", "state", "next_ms"),
)

outcomes = Table(  # what became of the dead letters of each group, by the quarter of a day
    "outcomes",
    metadata,
    Column("period", Big, primary_key=True, autoincrement=False),  # quarters of days since the epoch
    Column("fingerprint", Text, primary_key=True),
    Column("error_type", Text, primary_key=True),
    Column("words", Text, nullable=False),  # of an error message of the group
    *(Column(name, Big, nullable=False) for name in OUTCOMES),
    Index("outcomes_by_error_type", "error_type", "period"),
)

postgresql = MetaData()
"""What PostgreSQL has in addition. SQLite has the table `grams`, which SQLAlchemy cannot describe."""

gram_arrays = Table(
    "gram_arrays",
    postgresql,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", ARRAY(Text), nullable=False),
    Column("said", ARRAY(Text), nullable=False),
    Index("grams_of_key", "key", postgresql_using="gin"),
    Index("grams_of_said", "said", postgresql_using="gin"),
)
