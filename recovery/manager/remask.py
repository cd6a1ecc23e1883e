"""Makes the texts of the ledger's rows again where REDACT_FIELDS has changed since they were made."""

import hashlib
from collections.abc import Callable

import orjson

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Change, Row
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager.follow import chunks
from recovery.manager.records import NAMES, TEXTS, RowMaker
from recovery.manager.redaction import NOT_SHOWN, Redactor
from recovery.operations.records.reading import read_all
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

MARK = "redacted"
_REMADE = (*TEXTS, *NAMES, "object_key")
_GIVEN_UP = {
    "message": NOT_SHOWN, "about": NOT_SHOWN, "object_key": None, "correlation_id": "", "fault": None, "note": None, "hold": None,
    "finding": None,
}  # fmt: skip
"""What becomes of the texts of a row without a record. Names of programs, queues and errors stay: figures go by them."""


def remask(ledger: Ledger, state: State, rows: RowMaker, *, on_progress: Callable[[], None]) -> int:
    """Let no row say what is hidden, nor hide what no longer is; how many have changed. Nothing if the paths are as they were.

    Dead letters that have ended have no record: their texts are given up where fields are hidden. `on_progress` is called after
    every few hundred rows. If it is killed, the next start does it. Raises StoreError and LedgerError.
    """
    mark = digest_of(rows.redactor)
    if (ledger.get_mark(MARK) or "") == mark:
        return 0
    changed = 0
    for part in chunks(ledger.rows(Selection(states=tuple(RowState)))):
        found = {one.key: one for one in read_all((row.key for row in part), lambda key: _read(state, key))}
        changes = [one for row in part if (one := _change(row, found.get(row.key), rows)) is not None]
        changed += len(ledger.change_many(changes).rows)
        on_progress()
    ledger.set_mark(MARK, mark)
    return changed


def why_others_differ(ledger: Ledger, redactor: Redactor) -> str:
    """That a manager which was started later hides other fields in the same ledger; empty if none does. Raises LedgerError."""
    if (ledger.get_mark(MARK) or "") == digest_of(redactor):
        return ""
    return "REDACT_FIELDS is not that of a manager of the same ledger that was started later: stop all, then start them with one"


def digest_of(redactor: Redactor) -> str:
    """By which it is known whether the paths are the same; empty without paths."""
    if not redactor.is_active:
        return ""
    return hashlib.sha256(orjson.dumps(sorted(redactor.paths))).hexdigest()


def _change(row: Row, stored: StoredDeadLetter | None, rows: RowMaker) -> Change | None:
    if stored is not None:
        now = rows.row(stored)
        wanted: dict[str, object] = {name: getattr(now, name) for name in _REMADE}
        wanted["finding"] = None if row.finding is None else rows.text(stored.dead_letter, row.finding)
    elif rows.redactor.is_active:
        wanted = dict(_GIVEN_UP)
    else:
        return None
    fields = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    return Change(row.identity, "texts made again", "REDACT_FIELDS", fields, {}, row.version) if fields else None


def _read(state: State, key: str) -> StoredDeadLetter | None:
    try:
        return dead_letter_store.read(state, key)
    except ValueError:
        return None
