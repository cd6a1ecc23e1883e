"""Who hears of a failure: whom the object names, else whose prefix it has, else those who operate the system."""

import time
from typing import Any

import pytest

from recovery.ledger.rows import Arrival
from recovery.manager.notices import notices as module
from recovery.manager.notices.routing import PATIENCE_MS, REST_S
from testing.ledgers import NOW_MS
from worker.core.base.classify import FailureKind
from worker.core.base.errors import StoreError

QUEUE = "http://sqs/q/source"


@pytest.fixture
def failed(desk, fakes, rows):
    """Takes a dead letter in, as intake does: with a record, and a row that is news."""

    def make(name, key, kind="USER_ERROR"):
        failure = {"kind": kind, "error_type": "UnreadableFileError", "fingerprint": "f1", "source_queue": QUEUE}
        fakes.dead_letter(name, key, failure=failure)
        row = rows.row(fakes.store(name))
        desk.ledger.take_in([Arrival(name, row, desk.now_ms, is_news=True)])
        return row

    return make


def told(desk):
    desk.now_ms += 11_000
    desk.notices().turn(lambda: True)
    return [to for to, _ in desk.channels.sent]


def record(fakes, row):
    return fakes.under(row.key)[row.key]


def test_the_object_names_its_owner_who_is_recorded(desk, fakes, failed):
    desk.owners = "invoices/=accounts@example.com"
    desk.metadata["invoices/1.pdf"] = {"owner": " mei@example.com "}
    row = failed("a", "invoices/1.pdf")
    assert told(desk) == ["mei@example.com"]
    assert record(fakes, row)["owner"] == "mei@example.com"
    assert desk.ledger.get("a").owner == "mei@example.com"
    [event] = desk.ledger.events("a")
    assert (event.by, event.action) == ("notify", "assign")


@pytest.mark.parametrize("named", ["stranger@elsewhere.test", "json://internal/x", "Mei", ""])
def test_an_object_that_names_nobody_to_whom_we_may_write_has_the_owner_of_its_prefix(desk, failed, named):
    desk.owners = "invoices/=accounts@example.com"
    desk.metadata["invoices/1.pdf"] = {"owner": named}
    failed("a", "invoices/1.pdf")
    assert told(desk) == ["accounts@example.com"]
    assert desk.ledger.get("a").owner == "accounts@example.com"


def test_an_object_that_cannot_be_asked_has_the_owner_of_its_prefix(desk, failed):
    class Gone(dict[str, Any]):
        def get(self, *_):
            raise StoreError("gone", code="404")

    desk.owners, desk.metadata = "*=ops@example.com", Gone()
    failed("a", "invoices/1.pdf")
    assert told(desk) == ["ops@example.com"]


class Unavailable(dict[str, Any]):
    """S3 during an outage, as long as `down` is true; then every object names mei."""

    down = True
    asked = 0

    def get(self, *_):
        self.asked += 1
        if self.down:
            raise StoreError("SlowDown", code="503")
        return {"owner": "mei@example.com"}


def test_an_outage_of_s3_routes_nobody_and_hides_nothing_else(desk, failed, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    desk.owners, desk.metadata = "*=accounts@example.com", Unavailable()
    for number in range(5):
        failed(f"a{number}", "invoices/1.pdf")
    failed("s", "invoices/1.pdf", kind="SYSTEM_ERROR")
    notices = desk.notices()
    desk.now_ms += 11_000
    for _ in range(3):
        notices.turn(lambda: True)
    assert [to for to, _ in desk.channels.sent] == ["ops 1 (json)"]
    assert (desk.metadata.asked, desk.ledger.get("a0").owner) == (1, None)
    desk.metadata.down = False
    now[0] += REST_S
    notices.turn(lambda: True)
    assert [to for to, _ in desk.channels.sent[1:]] == ["mei@example.com"]
    assert desk.ledger.get("a0").owner == "mei@example.com"


def test_an_outage_that_does_not_end_lets_the_prefix_say_who_is_told_and_records_nobody(desk, failed):
    desk.owners, desk.metadata = "*=accounts@example.com", Unavailable()
    failed("a", "invoices/1.pdf")
    desk.now_ms += PATIENCE_MS
    assert told(desk) == ["accounts@example.com"]
    assert desk.ledger.get("a").owner is None


def test_without_an_owner_those_who_operate_are_told_and_nobody_is_recorded(desk, failed):
    failed("a", "invoices/1.pdf")
    assert told(desk) == ["ops 1 (json)"]
    assert desk.ledger.get("a").owner is None


def test_of_a_system_error_no_owner_hears(desk, failed):
    desk.owners = "*=accounts@example.com"
    failed("a", "invoices/1.pdf", kind="SYSTEM_ERROR")
    assert told(desk) == ["ops 1 (json)"]
    assert desk.ledger.get("a").owner is None


def test_who_owns_it_already_is_told_and_stays_its_owner(desk, failed):
    desk.owners = "*=accounts@example.com"
    failed("a", "invoices/1.pdf")
    desk.ledger.change("a", version=None, by="ana", action="assign", owner="mei@example.com")
    assert told(desk) == ["mei@example.com"]
    assert desk.ledger.get("a").owner == "mei@example.com"


def test_an_owner_whom_no_channel_reaches_is_left_and_the_prefix_says_who_is_told(desk, failed):
    desk.owners = "*=accounts@example.com"
    failed("a", "invoices/1.pdf")
    desk.ledger.change("a", version=None, by="ana", action="assign", owner="the finance team")
    assert told(desk) == ["accounts@example.com"]
    assert desk.ledger.get("a").owner == "the finance team"


def test_where_the_record_refuses_the_owner_is_told_all_the_same(desk, fakes, failed):
    desk.owners = "*=accounts@example.com"
    failed("a", "invoices/1.pdf")
    fakes.faults.add("state.claim", StoreError("denied", code="AccessDenied"))
    assert told(desk) == ["accounts@example.com"]
    assert desk.ledger.get("a").owner is None


def test_a_message_without_an_object_has_the_default_owner(desk):
    desk.owners = "invoices/=accounts@example.com,*=ops@example.com"
    desk.fail("a", kind=FailureKind.USER_ERROR, bucket="", object_key=None, first_seen_ms=NOW_MS)
    assert told(desk) == ["ops@example.com"]
