"""Where REDACT_FIELDS changes, the rows' texts are made again from the records, once."""

from dataclasses import replace

from recovery.ledger.rows import Arrival
from recovery.ledger.selection import parse_query
from recovery.manager.records import RowMaker
from recovery.manager.redaction import HIDDEN, NOT_SHOWN, Redactor
from recovery.manager.remask import remask, why_others_differ
from testing.ledgers import row
from testing.memory import NOW_MS
from worker.core.base.classify import FailureKind
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import take_in
from worker.core.sqs.failure_record import FailureRecord

BODY = '{"email": "alice@example.com"}'
ALICE = "no mail to alice@example.com"


def stored(fakes, ledger, rows, name="m"):
    failure = FailureRecord(FailureKind.USER_ERROR, error_type="E", message=ALICE)
    made, _ = take_in(fakes.state, DeadLetter(name, BODY, {"SentTimestamp": "1"}, {}, failure=failure), at_ms=NOW_MS)
    ledger.take_in([Arrival(name, rows.row(made), NOW_MS)])


def texts(ledger):
    return {one.identity: one.message for one in ledger.page(parse_query("state:any")).rows}


def test_rows_hide_what_is_hidden_from_now_on_and_show_what_no_longer_is(fakes, ledger, rows):
    steps = []

    def again(*paths):
        made = RowMaker(rows.types, Redactor(paths))
        return remask(ledger, fakes.state, made, on_progress=lambda: steps.append(paths))

    stored(fakes, ledger, rows)
    assert again() == 0
    assert steps == []
    assert again("$.email") == 1
    assert texts(ledger) == {"m": f"no mail to {HIDDEN}"}
    assert ledger.page(parse_query("text:alice")).rows == []
    assert again("$.email") == 0
    assert len(steps) == 1
    assert again() == 1
    assert texts(ledger) == {"m": ALICE}
    assert [one.action for one in ledger.events("m")] == ["texts made again"] * 2


def test_findings_and_what_people_said_are_made_again_too(fakes, ledger, rows):
    stored(fakes, ledger, rows)
    ledger.change("m", version=None, by="me", action="x", finding=f"would fail: {ALICE}")
    found = ledger.get("m")
    record = dead_letter_store.read(fakes.state, found.key)
    assert record is not None
    dead_letter_store.write(fakes.state, replace(record, note=ALICE, owner="alice@example.com"))
    hiding = RowMaker(rows.types, Redactor(["$.email"]))
    assert remask(ledger, fakes.state, hiding, on_progress=lambda: None) == 1
    found = ledger.get("m")
    assert (found.finding, found.note, found.owner) == (
        f"would fail: no mail to {HIDDEN}", f"no mail to {HIDDEN}", HIDDEN
    )  # fmt: skip


def test_a_manager_says_that_one_that_was_started_later_hides_other_fields(fakes, ledger, rows):
    first, second = (RowMaker(rows.types, Redactor(paths)) for paths in (["$.a", "$.b"], ["$.b"]))
    for made in (first, second):
        remask(ledger, fakes.state, made, on_progress=lambda: None)
        assert why_others_differ(ledger, made.redactor) == ""
    assert why_others_differ(ledger, first.redactor).startswith("REDACT_FIELDS is not that of a manager")
    assert why_others_differ(ledger, Redactor(["$.b"])) == ""


def test_what_has_ended_has_no_record_so_its_texts_are_given_up(fakes, ledger, rows):
    ledger.take_in(
        [Arrival("gone", replace(row("gone"), message=ALICE, note=ALICE, fault=ALICE, finding=ALICE), NOW_MS)]
    )
    made = RowMaker(rows.types, Redactor(["$.email"]))
    assert remask(ledger, fakes.state, made, on_progress=lambda: None) == 1
    assert texts(ledger) == {"gone": NOT_SHOWN}
    found = ledger.get("gone")
    assert (found.about, found.object_key, found.note, found.fault, found.finding) == (
        NOT_SHOWN,
        None,
        None,
        None,
        None,
    )
    assert "alice" not in str(found)
