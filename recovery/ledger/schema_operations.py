"""The tables of plans and operations, and of what was answered to requests that may be repeated; the rest is in schema.py."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from recovery.ledger.schema import Big, metadata

plans = Table(
    "plans",
    metadata,
    Column("number", Big, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("query", Text),
    Column("by", Text, nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("expires_ms", Big, nullable=False),
    Column("ready", Integer, nullable=False),  # 0 while its items are written
    Column("count", Big, nullable=False),
    Column("size_bytes", Big, nullable=False),
    Column("refused", JSON, nullable=False),
    UniqueConstraint("id", name="plans_id"),
)

plan_items = Table(
    "plan_items",
    metadata,
    # No foreign keys: a dead letter may have been pruned since, and to check the plan takes as long as to write it.
    Column("plan", Big, primary_key=True, autoincrement=False),
    Column("place", Big, primary_key=True, autoincrement=False),
    Column("dead_letter", Big, nullable=False),
    Column("generation", Big, nullable=False),
    Column("state", Text, nullable=False),
    Column("twice", Integer, nullable=False),
    Column("result", Text),
)
UNFINISHED = text("state IN ('waiting', 'sending')")
"""A dead letter is in one operation at a time that is to act on it."""
Index(
    "plan_items_unfinished",
    plan_items.c.dead_letter,
    unique=True,
    sqlite_where=UNFINISHED,
    postgresql_where=UNFINISHED,
)

operations = Table(
    "operations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("plan", Big, ForeignKey("plans.number", name="operations_plan"), nullable=False),
    Column("verb", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("by", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("started_ms", Big),
    Column("changed_ms", Big, nullable=False),
    Column("ended_ms", Big),
    Column("total", Big, nullable=False),
    Column("enlisted", Big, nullable=False),  # the place up to which its items are its own
    Column("done", Big, nullable=False),
    Column("failed", Big, nullable=False),
    Column("skipped", Big, nullable=False),
    Column("twice", Big, nullable=False),
    Column("skips", JSON, nullable=False),
    Column("step", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("until_ms", Big, nullable=False),
    Column("epoch", Big, nullable=False),
    UniqueConstraint("plan", name="operations_plan_once"),
    Index("operations_by_time", "created_ms", "id"),
)

answers = Table(
    "answers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("by", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("status", Integer),  # none yet: it is being worked on
    Column("body", Text),
    Column("location", Text),
)
