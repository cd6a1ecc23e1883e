"""The ledger's rows: nothing that REDACT_FIELDS hides is in them."""

import json
from dataclasses import fields

from recovery.ledger.rows import Row, State
from recovery.manager.records import NAMES, TEXTS, RowMaker
from recovery.manager.redaction import HIDDEN, Redactor
from recovery.operations.dead_letters.message_types import load_types
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET
from worker.core.base.classify import FailureKind
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

BODY = json.dumps({"bucket": "documents", "key": "経理/契約.pdf", "email": "alice@example.com"})
FAILURE = FailureRecord(
    FailureKind.USER_ERROR, error_type="E", message="alice@example.com: s3://documents/経理/契約.pdf",
    correlation_id="alice@example.com"
)  # fmt: skip


def row(*paths):
    types = load_types(default_bucket=BUCKET)
    dead_letter = DeadLetter("m", BODY, {"SentTimestamp": "1"}, {}, failure=FAILURE, stored_key="dead-letters/x.json")
    return RowMaker(types, Redactor(paths)).row(StoredDeadLetter(dead_letter, {"m": 1}))


def test_the_ledger_never_gets_to_know_what_is_hidden():
    open_row, hidden = row(), row("$.email")
    assert "alice@example.com" in str(open_row)
    assert "alice" not in str(hidden)
    assert hidden.message == f"{HIDDEN}: s3://documents/経理/契約.pdf"
    assert hidden.object_key == open_row.object_key


def test_a_key_that_is_hidden_is_not_known():
    found = row("$.key")
    assert "契約" not in str(found)
    assert found.object_key is None


def test_a_key_that_an_event_has_encoded_is_not_known_either():
    types = load_types(default_bucket=BUCKET)
    body = s3_event(s3_record("documents", "経理/契約 1.pdf"))
    failure = FailureRecord(FailureKind.USER_ERROR, error_type="E", message="GET s3://documents/経理/契約 1.pdf: no")
    dead_letter = DeadLetter("m", body, {"SentTimestamp": "1"}, {}, failure=failure, stored_key="dead-letters/x.json")
    found = RowMaker(types, Redactor(["$.Records[*].s3.object.key"])).row(StoredDeadLetter(dead_letter, {"m": 1}))
    assert (found.object_key, found.about, found.message) == (
        None, f"documents/{HIDDEN}", f"GET s3://documents/{HIDDEN}: no"
    )  # fmt: skip


def test_every_text_of_a_row_is_hidden_in():
    """A field of texts that is added to a row has to be in one of the two lists, or be said here not to need that."""
    ours = {
        "identity",
        "key",
        "state",
        "kind",
        "type",
        "body_sha256",
        "sent_by",
        "sent_to",
        "sent_run",
        "retry_by",
        "object_key",
    }
    of_ledger = {"finding", "outcome"}
    texts = {one.name for one in fields(Row) if one.type in {"str", "str | None", str, str | None, State, FailureKind}}
    assert texts - ours - of_ledger == {*TEXTS, *NAMES}
