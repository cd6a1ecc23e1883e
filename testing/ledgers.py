"""Ledgers for tests, and dead letters to put into them."""

import functools
import math
import tempfile
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import text, update

from recovery.ledger.address import SQLITE, file_of, ledger_url
from recovery.ledger.database import Database
from recovery.ledger.ledger import Ledger, open_ledger
from recovery.ledger.rows import Arrival, Row
from recovery.ledger.schema import CELL_SUMS, ledger_info
from recovery.ledger.summaries import AgeSummary
from recovery.manager.figures import QUANTILES
from worker.core.base.classify import FailureKind

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000


def new_ledger(url: str, *, timeout_s: float = 10) -> Ledger:
    """The ledger of a new database, migrated, as `dlq-manager migrate` does on PostgreSQL."""
    made = ledger_url(url)
    if made.drivername != SQLITE:
        ledger = Ledger(Database(made, timeout_s=timeout_s))
        ledger.migrate()
        return ledger
    file_of(made).write_bytes(_migrated())
    ledger = Ledger(Database(made, timeout_s=timeout_s))
    own = {"id": str(uuid.uuid4()), "created_ms": time.time_ns() // 1_000_000}
    with ledger._database.writing() as connection:
        connection.execute(update(ledger_info).values(**own))
    return ledger


@functools.cache
def _migrated() -> bytes:
    """The file of an empty ledger: to copy it is ten times as fast as to migrate another."""
    with tempfile.TemporaryDirectory() as folder:
        open_ledger(f"sqlite:///{folder}/ledger.sqlite").close()
        return Path(folder, "ledger.sqlite").read_bytes()


def recounted(ledger: Ledger) -> None:
    """Make every cell anew from the rows."""
    sums = ", ".join(f"sum({name})" for name in CELL_SUMS)
    with ledger._database.writing() as connection:
        connection.execute(text("DELETE FROM cells"))
        connection.execute(
            text(
                f"INSERT INTO cells (class_id, state, count, {', '.join(CELL_SUMS)}, first_seen_ms, last_seen_ms) "
                f"SELECT class_id, state, count(*), {sums}, min(first_seen_ms), max(last_seen_ms) "
                "FROM dead_letters GROUP BY class_id, state"
            )
        )


def ages_of(ages_s: Iterable[float]) -> AgeSummary:
    """The summary of a list of ages. A quantile is the smallest age that so many of them do not exceed."""
    ages = sorted(ages_s)
    found = {quantile: ages[math.ceil(quantile * len(ages)) - 1] for quantile in QUANTILES} if ages else {}
    return AgeSummary(len(ages), math.fsum(ages), found)


def row(name: str, **fields: Any) -> Row:
    """A dead letter. By default each is of the same class, and was seen at the same time."""
    key = fields.get("object_key", f"経理/{name}.pdf")
    usual: dict[str, Any] = {
        "identity": name, "key": f"dead-letters/2026-11-01/{name}.json", "kind": FailureKind.RECOVERABLE,
        "error_type": "ReadTimeoutError", "message": f"GET s3://documents/{key}: no answer in 30 s",
        "fingerprint": "5b1f2c7d90aa", "type": "s3-event", "bucket": "documents", "object_key": key,
        "about": f"s3://documents/{key}", "source_queue": "https://sqs.eu-west-1.amazonaws.com/1/documents",
        "source_service": "s3-index-worker", "worker": "worker-1", "body_sha256": "e3b0c442", "size_bytes": 900,
        "attribute_count": 1, "first_failed_ms": NOW_MS - MINUTE_MS, "first_seen_ms": NOW_MS, "last_seen_ms": NOW_MS,
        "sent_ms": NOW_MS - 2_000,
    }  # fmt: skip
    return Row(**(usual | fields))


def arrival(name: str, message_id: str = "", *, at_ms: int = NOW_MS, **fields: Any) -> Arrival:
    """Its arrival under a DLQ id, by default its first one."""
    return Arrival(message_id or f"m-{name}", row(name, **fields), at_ms)
