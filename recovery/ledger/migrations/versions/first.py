"""The first schema of the ledger. What the tables are for: recovery/ledger/schema.py."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# As bigrams.TOKENIZER was then; FTS5's quotation marks and apostrophes are doubled.
_SQLITE_GRAMS = """
CREATE VIRTUAL TABLE grams USING fts5(
    key, said, content='', detail=column,
    tokenize="ascii tokenchars '!""#$%&''()*+,-./:;<=>?@[\\]^_`{|}~'"
)
"""
_RARE = {
    "correlation_id": "correlation_id <> ''",
    "owner": "owner IS NOT NULL",
    "hold": "hold IS NOT NULL",
}


def upgrade() -> None:
    """Create everything."""
    _create_classes()
    _create_dead_letters()
    _create_what_belongs_to_them()
    _create_the_rest()
    _create_notices()
    _create_operations()
    _create_groups()
    if op.get_bind().dialect.name == "sqlite":
        op.execute(sa.text(_SQLITE_GRAMS.replace(":", "\\:")))
    else:
        _create_arrays()


def _text(name: str, *, nullable: bool = False, primary_key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=nullable, primary_key=primary_key)


def _big(name: str, *, nullable: bool = False) -> "sa.Column[int]":
    return sa.Column(name, _BIG, nullable=nullable)


def _create_classes() -> None:
    op.create_table(
        "classes",
        sa.Column("id", _BIG, primary_key=True, autoincrement=False),
        _text("digest"),
        _text("kind"),
        sa.Column("error_type", _ORDERED, nullable=False),
        _text("type"),
        _text("bucket"),
        sa.Column("fingerprint", _ORDERED, nullable=False),
        _text("source_service"),
        _text("source_queue"),
        sa.UniqueConstraint("digest", name="classes_digest"),
    )
    op.create_table(
        "cells",
        sa.Column("class_id", _BIG, sa.ForeignKey("classes.id", name="cells_class"), primary_key=True),
        _text("state", primary_key=True),
        *(_big(name) for name in ("count", "attempts", "redrives", "retries", "size_bytes")),
        *(_big(name) for name in ("first_seen_ms", "last_seen_ms")),
    )


def _create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", _BIG, primary_key=True, autoincrement=False),
        sa.Column("class_id", _BIG, sa.ForeignKey("classes.id", name="dead_letters_class"), nullable=False),
        _text("state"),
        *(_big(name) for name in ("last_seen_ms", "first_seen_ms", "sent_ms", "changed_ms", "version", "generation")),
        _text("identity"),
        _text("key"),
        sa.Column("object_key", _ORDERED, nullable=False),
        *(_text(name) for name in ("correlation_id", "message", "about", "worker", "body_sha256")),
        _big("size_bytes"),
        sa.Column("attribute_count", sa.Integer, nullable=False),
        _text("fault", nullable=True),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("attempts", "redrives", "retries")),
        _big("first_failed_ms"),
        _big("sent_at_ms", nullable=True),
        *(_text(name, nullable=True) for name in ("sent_by", "sent_to", "sent_run")),
        _big("retry_at_ms", nullable=True),
        *(_text(name, nullable=True) for name in ("retry_by", "owner", "note", "hold", "finding", "outcome")),
        sa.UniqueConstraint("identity", name="dead_letters_identity"),
        sa.UniqueConstraint("key", name="dead_letters_key"),
    )
    for order in ("last_seen_ms", "first_seen_ms", "object_key"):
        columns = ["state", order, "id", "class_id", "sent_ms"]
        op.create_index(f"by_state_{order.removesuffix('_ms')}", "dead_letters", columns)
    op.create_index("by_state_sent", "dead_letters", ["state", "sent_ms", "id", "class_id"])
    columns = ["class_id", "state", "last_seen_ms", "id", "sent_ms", "first_seen_ms"]
    op.create_index("by_class_last_seen", "dead_letters", columns)
    op.create_index("by_class_first_seen", "dead_letters", ["class_id", "state", "first_seen_ms", "id", "sent_ms"])
    op.create_index("by_class_sent", "dead_letters", ["class_id", "state", "sent_ms", "id"])
    op.create_index("by_state_changed", "dead_letters", ["state", "changed_ms"])
    for name, where in _RARE.items():
        condition = sa.text(where)
        op.create_index(f"by_{name}", "dead_letters", [name], sqlite_where=condition, postgresql_where=condition)
    condition = sa.text("retry_at_ms IS NOT NULL")
    columns = ["state", "retry_at_ms", "id", "class_id", "sent_ms"]
    op.create_index("by_state_retry_at", "dead_letters", columns, sqlite_where=condition, postgresql_where=condition)
    condition = sa.text("outcome IS NOT NULL")
    op.create_index(
        "by_outcome", "dead_letters", ["outcome", "state"], sqlite_where=condition, postgresql_where=condition
    )


def _create_what_belongs_to_them() -> None:
    def to_dead_letter(table: str) -> sa.ForeignKey:
        return sa.ForeignKey("dead_letters.id", name=f"{table}_dead_letter")

    op.create_table(
        "texts",
        sa.Column("id", _BIG, to_dead_letter("texts"), primary_key=True, autoincrement=False),
        _text("key"),
        _text("said"),
    )
    op.create_table(
        "arrivals",
        _text("message_id", primary_key=True),
        sa.Column("dead_letter", _BIG, to_dead_letter("arrivals"), nullable=False),
        _big("at_ms"),
    )
    op.create_index("arrivals_of", "arrivals", ["dead_letter"])
    op.create_table(
        "events",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("dead_letter", _BIG, to_dead_letter("events"), nullable=False),
        _big("at_ms"),
        _text("by"),
        _text("action"),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_index("events_of", "events", ["dead_letter", "id"])


def _create_the_rest() -> None:
    op.create_table("ledger_info", _text("id", primary_key=True), _text("name"), _big("created_ms"))
    op.create_table(
        "hourly",
        sa.Column("hour", _BIG, primary_key=True, autoincrement=False),
        _text("error_type", primary_key=True),
        _text("kind", primary_key=True),
        _big("count"),
    )
    op.create_table("leases", _text("name", primary_key=True), _text("holder"), _big("until_ms"), _big("epoch"))
    op.create_table(
        "tokens",
        _text("digest", primary_key=True),
        *(_text(name) for name in ("name", "role")),
        _big("created_ms"),
        _text("created_by"),
        *(_big(name, nullable=True) for name in ("expires_ms", "revoked_ms")),
        _text("revoked_by", nullable=True),
        _big("used_ms", nullable=True),
        sa.UniqueConstraint("name", name="tokens_name"),
    )
    op.create_table("ended_sessions", _text("id", primary_key=True), _big("until_ms"))
    op.create_table("marks", _text("name", primary_key=True), _text("value"))


def _create_notices() -> None:
    op.create_table(
        "news",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("dead_letter", _BIG, sa.ForeignKey("dead_letters.id", name="news_dead_letter"), nullable=False),
        _big("at_ms"),
        _text("reason"),
    )
    op.create_index("news_of", "news", ["dead_letter"])
    op.create_table(
        "topics",
        *(_text(name, primary_key=True) for name in ("recipient", "reason", "kind", "name")),
        *(_text(name) for name in ("fingerprint", "error_type")),
        *(_big(name) for name in ("waiting", "first_ms", "last_ms")),
        _text("example"),
        *(_big(name) for name in ("total", "told_ms")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", _BIG, primary_key=True),
        _big("created_ms"),
        *(_text(name) for name in ("about", "recipient", "subject", "text", "state")),
        sa.Column("attempts", sa.Integer, nullable=False),
        _text("error"),
        _big("next_ms"),
        _big("sent_ms", nullable=True),
    )
    op.create_index("notifications_by_state", "notifications", ["state", "next_ms"])
    op.create_table(
        "outcomes",
        sa.Column("period", _BIG, primary_key=True, autoincrement=False),
        *(_text(name, primary_key=True) for name in ("fingerprint", "error_type")),
        _text("words"),
        *(_big(name) for name in ("redriven", "returned", "archived", "abandoned")),
    )
    op.create_index("outcomes_by_error_type", "outcomes", ["error_type", "period"])


def _create_groups() -> None:
    def name() -> "list[sa.Column[str]]":
        return [_text(column, primary_key=True) for column in ("fingerprint", "error_type", "kind")]

    period = sa.Column("period", _BIG, primary_key=True, autoincrement=False)
    op.create_table("group_arrivals", *name(), period, _big("count"))
    op.create_table(
        "group_redrives",
        *name(),
        *(_text(column) for column in ("run", "by")),
        *(_big(column) for column in ("began_ms", "sent_ms", "sent", "returned", "arrived")),
    )
    op.create_table(
        "annotations",
        *name(),
        *(_text(column, primary_key=True) for column in ("state", "field", "digest")),
        _text("value"),
        _big("count"),
    )


def _create_operations() -> None:
    op.create_table(
        "plans",
        sa.Column("number", _BIG, primary_key=True, autoincrement=False),
        *(_text(name) for name in ("id", "verb")),
        sa.Column("options", sa.JSON, nullable=False),
        _text("query", nullable=True),
        _text("by"),
        *(_big(name) for name in ("created_ms", "expires_ms")),
        sa.Column("ready", sa.Integer, nullable=False),
        *(_big(name) for name in ("count", "size_bytes")),
        sa.Column("refused", sa.JSON, nullable=False),
        sa.UniqueConstraint("id", name="plans_id"),
    )
    op.create_table(
        "plan_items",
        sa.Column("plan", _BIG, primary_key=True, autoincrement=False),
        sa.Column("place", _BIG, primary_key=True, autoincrement=False),
        *(_big(name) for name in ("dead_letter", "generation")),
        _text("state"),
        sa.Column("twice", sa.Integer, nullable=False),
        _text("result", nullable=True),
    )
    unfinished = sa.text("state IN ('waiting', 'sending')")
    op.create_index(
        "plan_items_unfinished", "plan_items", ["dead_letter"], unique=True, sqlite_where=unfinished,
        postgresql_where=unfinished,
    )  # fmt: skip
    op.create_table(
        "operations",
        _text("id", primary_key=True),
        sa.Column("plan", _BIG, sa.ForeignKey("plans.number", name="operations_plan"), nullable=False),
        _text("verb"),
        sa.Column("options", sa.JSON, nullable=False),
        *(_text(name) for name in ("by", "state")),
        _big("created_ms"),
        _big("started_ms", nullable=True),
        _big("changed_ms"),
        _big("ended_ms", nullable=True),
        *(_big(name) for name in ("total", "enlisted", "done", "failed", "skipped", "twice")),
        sa.Column("skips", sa.JSON, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        *(_text(name) for name in ("error", "holder")),
        *(_big(name) for name in ("until_ms", "epoch")),
        sa.UniqueConstraint("plan", name="operations_plan_once"),
    )
    op.create_index("operations_by_time", "operations", ["created_ms", "id"])
    op.create_table(
        "answers",
        *(_text(name, primary_key=True) for name in ("key", "by")),
        _text("digest"),
        _big("created_ms"),
        sa.Column("status", sa.Integer),
        *(_text(name, nullable=True) for name in ("body", "location")),
    )


def _create_arrays() -> None:
    op.create_table(
        "gram_arrays",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", ARRAY(sa.Text), nullable=False),
        sa.Column("said", ARRAY(sa.Text), nullable=False),
    )
    for name in ("key", "said"):
        op.create_index(f"grams_of_{name}", "gram_arrays", [name], postgresql_using="gin")
