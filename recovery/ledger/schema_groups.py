"""The tables of what is counted for each group, so that a page of groups reads no rows; the rest is in schema.py."""

from sqlalchemy import Column, Table, Text

from recovery.ledger.schema import Big, metadata

NAME = ("fingerprint", "error_type", "kind")
"""The columns that name a group."""


def _name() -> list[Column[str]]:
    return [Column(name, Text, primary_key=True) for name in NAME]


group_arrivals = Table(  # how many dead letters of each group came, by the quarter of a day
    "group_arrivals",
    metadata,
    *_name(),
    Column("period", Big, primary_key=True, autoincrement=False),  # quarters of days since the epoch
    Column("count", Big, nullable=False),
)

group_redrives = Table(  # the last time that people sent dead letters of each group again
    "group_redrives",
    metadata,
    *_name(),
    Column("run", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("began_ms", Big, nullable=False),
    Column("sent_ms", Big, nullable=False),  # the last sending of this run
    Column("sent", Big, nullable=False),
    Column("returned", Big, nullable=False),  # of those that it sent
    Column("arrived", Big, nullable=False),  # in the group since it began, new ones and returned ones
)

annotations = Table(  # what people say of the dead letters of each group in each state, and of how many
    "annotations",
    metadata,
    *_name(),
    Column("state", Text, primary_key=True),
    Column("field", Text, primary_key=True),  # owner, hold, note
    Column("digest", Text, primary_key=True),  # of the whole text
    Column("value", Text, nullable=False),  # its beginning
    Column("count", Big, nullable=False),
)
