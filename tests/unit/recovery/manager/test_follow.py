"""Following: what commands and workers did without the manager; what is missing; and a ledger made again from nothing."""

import contextlib
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recovery.ledger.ledger import open_ledger
from recovery.ledger.news import Reason
from recovery.ledger.rows import Arrival
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager.arrivals import Arrivals
from recovery.manager.audit_trail import first_mark
from recovery.manager.depth_history import depths
from recovery.manager.follow import Follower
from recovery.manager.ownership import OWNER_KEY, check_owner
from recovery.manager.rebuild import rebuild
from recovery.manager.records import RowMaker
from recovery.manager.redaction import Redactor
from recovery.manager.remask import remask
from recovery.manager.schedule import RetryRules, Scheduler, unscheduled
from recovery.manager.upkeep import LEASE, Upkeep
from recovery.operations.abandon import AbandonRequest, ArchivedAs, abandon
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.desk import change_record
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.dead_letters.stored import RETRY
from recovery.operations.find import FindRequest, claiming, find
from recovery.operations.recover import recover
from recovery.operations.recovering.request import RecoverRequest
from recovery.operations.redrive import RedriveRequest, plan_redrive, redrive
from recovery.operations.transfer.targets import redrive_target
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET, NOW_MS
from worker.core import audit
from worker.core.audit import AuditEvent, Run
from worker.core.base.classify import FailureKind
from worker.core.base.errors import ConfigError, StoreError
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import take_in
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.stored_dead_letter import Retry, Sending, StoredState

QUEUE = "http://sqs/q/source"
ALL = Selection(states=tuple(RowState))
STOP = threading.Event()
EVENT = s3_event(s3_record(BUCKET, "0.txt"))


@pytest.fixture
def clients(fakes):
    return DlqClients(fakes.dlq, fakes.s3, fakes.state, load_types(default_bucket=BUCKET))


@pytest.fixture
def taken_in(fakes, intake):
    """Four dead letters, s0 to s3, that the manager has taken in."""
    for number in range(4):
        failure = {
            "source_message_id": f"s{number}",
            "source_queue": QUEUE,
            "error_type": "OSError",
            "fingerprint": "f",
        }
        fakes.dead_letter(f"m{number}", f"{number}.txt", failure=failure)
    while intake.once(wait_s=0):
        pass


def run_of(command):
    return Run.new(command, action=command.partition(" ")[2], by="op@host")


def which(*names):
    return FindRequest(Ids(frozenset(names)) if names else Filter())


def redriven(fakes, clients, *names):
    run = run_of("dlq redrive")
    with claiming(clients, run) as claims:
        target = redrive_target(clients, fakes.source, is_named=True)
        plan = plan_redrive(find(clients, claims, which(*names), stop=STOP), target)
        redrive(clients, claims, RedriveRequest(run, which(*names)), plan, stop=STOP)


def abandoned(fakes, clients, *names):
    run = run_of("dlq abandon")
    with claiming(clients, run) as claims:
        found = find(clients, claims, which(*names), stop=STOP)
        abandon(
            clients,
            fakes.state,
            claims,
            AbandonRequest(run, which(*names), "why", ArchivedAs.ABANDONED),
            found,
            stop=STOP,
        )


def recovered(fakes, *names):
    for number in range(4):
        fakes.s3.bodies[f"{number}.txt"] = b"x"
    request = RecoverRequest(run_of("dlq recover"), load_types(), ids=frozenset(names) or None)
    return recover(fakes.settings(), fakes.clients, request, stop=STOP)


def states(ledger):
    return {row.identity: row.state.value for row in ledger.page(ALL).rows}


def test_what_commands_did_is_known_from_audit_and_records(fakes, clients, ledger, follower, taken_in):
    redriven(fakes, clients, "s0")
    abandoned(fakes, clients, "s1")
    recovered(fakes, "s2")
    follower.follow()
    assert states(ledger) == {"s0": "sent", "s1": "abandoned", "s2": "recovered", "s3": "open"}
    row = ledger.get("s0")
    assert row is not None
    assert (row.sent_by, row.sent_to) == ("op@host", fakes.source.url)
    [event] = ledger.events("s1")
    assert (event.action, event.by, event.details["outcome"], event.details["reason"]) == (
        "abandon",
        "op@host",
        "abandoned",
        "why",
    )


def test_following_twice_changes_nothing_more(fakes, clients, ledger, follower, taken_in):
    redriven(fakes, clients, "s0")
    follower.follow()
    before = list(ledger.rows(ALL))
    follower.follow()
    assert list(ledger.rows(ALL)) == before


def test_what_a_worker_stored_gets_a_row(fakes, ledger, follower, taken_in):
    spilled = DeadLetter("w1", "body", {"SentTimestamp": str(NOW_MS)}, {})
    take_in(fakes.state, spilled, at_ms=NOW_MS)
    follower.follow()
    row = ledger.get("w1")
    assert row is not None
    assert (row.identity, row.state, row.attempts) == ("w1", "open", 1)


def test_a_record_of_long_ago_without_a_row_gets_one_in_the_daily_check(fakes, ledger, follower, taken_in):
    old = DeadLetter("w1", "body", {"SentTimestamp": "1600000000000"}, {})
    take_in(fakes.state, old, at_ms=NOW_MS)
    follower.follow()
    assert ledger.get("w1") is None
    assert follower.check() == 0
    assert ledger.get("w1") is not None


# -- what a worker stored itself -------------------------------------------------------------------------------------


@pytest.fixture
def scheduling(fakes, ledger, rows, metrics):
    """A follower of a manager that retries and notifies."""
    scheduler = Scheduler(RetryRules(times=2), rows.types, fakes.s3.clock.now_ms, lambda: 0.5)
    return Follower(ledger, fakes.state, fakes.s3.clock, Arrivals(rows, scheduler, metrics, True), STOP)


def read(fakes, key):
    stored = dead_letter_store.read(fakes.state, key)
    assert stored is not None
    return stored


def spill(fakes, name="w1", *, first_failed_at="2026-11-29T12:00:00+00:00", at_ms=None, body=None):
    """A worker stores a failed message itself, because the DLQ refuses it."""
    failure = FailureRecord(
        FailureKind.RECOVERABLE, error_type="TimeoutError", source_queue=QUEUE, first_failed_at=first_failed_at,
        dead_letter_id="s0",
    )  # fmt: skip
    failed = DeadLetter(name, body or EVENT, {"SentTimestamp": str(NOW_MS)}, {})
    stored, _ = take_in(fakes.state, replace(failed, failure=failure), at_ms=at_ms or time.time_ns() // 1_000_000)
    return stored.key


@pytest.fixture
def long_ago(fakes, ledger, rows):
    """A dead letter that first failed three weeks ago, and was sent again; the key of its record."""
    key = spill(fakes, "m0", first_failed_at="2026-11-01T12:00:00+00:00")
    stored = read(fakes, key)
    sending = Sending(NOW_MS - 20_000, "op@h", "run", QUEUE, NOW_MS + 60_000)
    sent = dead_letter_store.write(fakes.state, replace(stored, state=StoredState.SENT, sent=sending))
    ledger.take_in([Arrival("m0", rows.row(sent), NOW_MS)])
    return key


def spill_again(fakes):
    """It fails once more, and the DLQ refuses it."""
    return spill(fakes, "w1", first_failed_at="2026-11-01T12:00:00+00:00")


def assert_came_back(fakes, ledger, key):
    row, stored = ledger.get("w1"), read(fakes, key)
    assert (row.identity, row.state, row.attempts, row.key) == ("s0", RowState.SCHEDULED, 2, key)
    assert (row.retry_at_ms, stored.retry.at_ms) == (NOW_MS + 150_000, NOW_MS + 150_000)
    assert [event.action for event in ledger.events("s0")] == ["returned"]


def test_a_spilled_return_of_long_ago_is_scheduled_once_its_row_is_refreshed(fakes, ledger, scheduling, long_ago):
    assert spill_again(fakes) == long_ago
    for _ in range(2):
        scheduling.refresh([ledger.get("s0")])
        assert_came_back(fakes, ledger, long_ago)


def test_a_spilled_return_of_long_ago_is_found_by_the_daily_check(fakes, ledger, scheduling, long_ago):
    scheduling.check()
    assert ledger.get("s0").state is RowState.SENT
    spill_again(fakes)
    scheduling.follow()
    assert ledger.get("s0").attempts == 1, "its day is not one of the last two"
    scheduling.check()
    assert_came_back(fakes, ledger, long_ago)


def test_the_daily_check_reads_only_what_was_written_since_the_last(fakes, ledger, scheduling, long_ago, monkeypatch):
    monkeypatch.setattr(fakes.state, "modified", lambda prefix: ((key, NOW_MS - 90_000) for key in fakes.under(prefix)))
    scheduling.check()
    fakes.faults.calls.clear()
    scheduling.check()
    assert "state.get" not in fakes.faults.calls


def test_a_kill_after_the_schedule_is_written_schedules_nothing_anew(fakes, ledger, scheduling, long_ago, monkeypatch):
    spill_again(fakes)
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "take_in", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            scheduling.refresh([ledger.get("s0")])
    at_ms = read(fakes, long_ago).retry.at_ms
    monkeypatch.setattr(fakes.s3.clock, "now_ms", lambda: NOW_MS + 5_000)
    scheduling.refresh([ledger.get("s0")])
    assert at_ms == NOW_MS + 150_000
    assert_came_back(fakes, ledger, long_ago)


def test_what_a_worker_stored_is_told_unless_it_is_retried_or_older_than_the_ledger(fakes, ledger, scheduling):
    spill(fakes, "w0", body="no event")
    spill(fakes, "w1")
    spill(fakes, "w2", body="neither", at_ms=ledger.info().created_ms - 1)
    scheduling.check()
    assert [one.row.identity for one in ledger.outbox.news(limit=9)] == [ledger.get("w0").identity]


def test_a_new_record_with_two_arrivals_has_two_attempts(fakes, ledger, scheduling, rows):
    spill(fakes, "w0")
    spill(fakes, "w1")
    scheduling.check()
    assert ledger.get("w1").attempts == 2


def test_retries_that_are_used_up_by_a_spilled_return_are_told(fakes, ledger, scheduling, long_ago, metrics):
    stored = read(fakes, long_ago)
    run = Run.new(RETRY, action="retry", by="manager@h").name
    dead_letter_store.write(
        fakes.state, replace(stored, retry=Retry(2), sent=Sending(NOW_MS - 20_000, "manager@h", run, QUEUE, NOW_MS))
    )
    spill_again(fakes)
    scheduling.refresh([ledger.get("s0")])
    row = ledger.get("s0")
    assert (row.state, row.retries, row.finding) == (
        RowState.OPEN, 2, "its 2 retries are used up: nothing resends it automatically"
    )  # fmt: skip
    assert [one.reason for one in ledger.outbox.news(limit=9)] == [Reason.RETRIES_USED_UP]
    assert metrics.registry.get_sample_value("dlq_retries_total", {"result": "used_up"}) == 1


def test_what_a_killed_manager_had_ended_the_retries_of_is_told(fakes, ledger, scheduling, rows):
    key = spill(fakes)
    scheduling.check()
    row = ledger.get("w1")
    assert row.state is RowState.SCHEDULED
    change_record(fakes.state, key, unscheduled)
    scheduling.refresh([row])
    assert [one.row.state for one in ledger.outbox.news(limit=9)] == [RowState.OPEN]


def test_a_record_that_is_gone_without_a_word_is_missing_and_comes_back(fakes, ledger, follower, taken_in):
    key = ledger.get("s1").key
    record = fakes.s3.records.pop(key)
    assert follower.check() == 1
    assert states(ledger)["s1"] == "missing"
    assert follower.check() == 0, "it is said once"
    fakes.s3.records[key] = record
    follower.check()
    assert states(ledger)["s1"] == "open"


def test_a_check_in_which_most_records_are_gone_changes_nothing(fakes, ledger, follower, intake):
    for number in range(30):
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    while intake.once(wait_s=0):
        pass
    for key in list(fakes.under(DEAD_LETTERS_PREFIX))[:20]:
        del fakes.s3.records[key]
    with pytest.raises(ConfigError, match=r"20 of 30 records are not in s3://.*check STATE_BUCKET"):
        follower.check()
    assert set(states(ledger).values()) == {"open"}


def test_a_record_that_only_the_listing_did_not_show_is_not_missing(fakes, ledger, follower, taken_in, monkeypatch):
    keys = fakes.state.keys
    monkeypatch.setattr(fakes.state, "keys", lambda prefix: (key for key in keys(prefix) if "s1" not in key))
    assert follower.check() == 0
    assert states(ledger)["s1"] == "open"


def test_an_entry_of_the_audit_that_is_none_is_passed_over(fakes, clients, ledger, follower, taken_in):
    for number, raw in enumerate([b"[]", b"{", b'{"ids": 7, "result": 1}', b'{"ids": [], "result": []}']):
        fakes.s3.records[f"s3-index-worker/audit/2026-11-29/{number:012}-x-1.json"] = raw
    redriven(fakes, clients, "s0")
    follower.follow()
    assert states(ledger)["s0"] == "sent"


# -- upkeep ----------------------------------------------------------------------------------------------------------


def test_one_manager_of_two_does_the_upkeep_and_a_failure_is_said_and_tried_again(fakes, ledger, follower, taken_in):
    upkeep = Upkeep(ledger, follower, holder="a:1", keep_days=90, stop=threading.Event())
    epoch = ledger.claim(LEASE, "b:2", 60)
    fakes.s3.records.pop(ledger.get("s1").key)
    upkeep.turn()
    assert states(ledger)["s1"] == "open", "the other does it"
    ledger.release(LEASE, "b:2", epoch)
    fakes.faults.add("state.list", StoreError("denied", code="AccessDenied"), times=1)
    upkeep.turn()
    assert upkeep.problem == "denied"
    upkeep.turn()
    assert (upkeep.problem, states(ledger)["s1"]) == ("", "missing")


def test_what_has_long_ended_leaves_the_ledger_and_what_waits_does_not(fakes, clients, ledger, follower, taken_in):
    abandoned(fakes, clients, "s1")
    follower.follow()
    Upkeep(ledger, follower, holder="a:1", keep_days=-1, stop=threading.Event()).turn()
    assert sorted(states(ledger)) == ["s0", "s2", "s3"]


def test_a_depth_is_noted_only_if_the_dead_letter_queue_says_how_many_it_has(ledger, follower, taken_in):
    in_sqs: list[int | None] = [None, 3]
    stop = threading.Event()
    upkeep = Upkeep(ledger, follower, holder="a:1", keep_days=90, stop=stop, in_sqs=lambda: in_sqs.pop(0))
    upkeep.turn()
    assert depths(ledger) == {}
    upkeep.turn()
    assert list(depths(ledger).values()) == [4 + 3]


# -- whose ledger ----------------------------------------------------------------------------------------------------


def test_a_state_bucket_has_one_ledger(fakes, ledger, tmp_path):
    check_owner(fakes.state, ledger, "op@host")
    check_owner(fakes.state, ledger, "op@host")
    other = open_ledger(f"sqlite:///{tmp_path}/other.sqlite")
    said = r"is .*ledger.sqlite \(since .*, by op@host\), and not .*other.sqlite.*rebuild"
    with contextlib.closing(other), pytest.raises(ConfigError, match=said):
        check_owner(fakes.state, other, "op@host")
    fakes.s3.records[OWNER_KEY] = b"{"
    with pytest.raises(ConfigError, match="cannot be read"):
        check_owner(fakes.state, ledger, "op@host")


# -- rebuild ---------------------------------------------------------------------------------------------------------


def test_a_ledger_made_again_from_nothing_has_the_same_rows(
    fakes, clients, ledger, follower, rows, arrivals, taken_in, tmp_path
):
    redriven(fakes, clients, "s0")
    abandoned(fakes, clients, "s1")
    recovered(fakes, "s2")
    follower.follow()
    with contextlib.closing(open_ledger(f"sqlite:///{tmp_path}/new.sqlite")) as new:
        done = rebuild(new, fakes.state, rows, by="op@host", now_ms=NOW_MS, stop=STOP)
        assert (done.stored, done.archived) == (2, 1)
        check_owner(fakes.state, new, "op@host")
        with pytest.raises(ConfigError):
            check_owner(fakes.state, ledger, "op@host")
        for name in ("s0", "s3"):
            assert _alike(new.get(name)) == _alike(ledger.get(name))
        assert states(new) == {"s0": "sent", "s1": "abandoned", "s3": "open"}, "what was recovered left no record"
        keys = {opened: [row.key for row in opened.page(ALL).rows if row.identity == "s1"] for opened in (new, ledger)}
        assert keys[new] == keys[ledger], "where it is stored if it returns, and not its archive"
        known = new.get("m0")
        assert known is not None
        assert known.identity == "s0"
        assert [event.action for event in new.events("s1")] == ["abandon", "abandon"]
        [ending] = new.particular.endings(["s1", "s3"]).values()
        assert (ending.by, ending.details["reason"]) == ("op@host", "why")
        Follower(new, fakes.state, fakes.s3.clock, arrivals, STOP).follow()
        assert states(new)["s1"] == "abandoned"
        with pytest.raises(ConfigError, match="is not empty"):
            rebuild(new, fakes.state, rows, by="op@host", now_ms=NOW_MS, stop=STOP)


def test_a_rebuilt_ledger_has_nothing_to_mask_and_nothing_to_read_again(
    fakes, clients, rows, arrivals, taken_in, tmp_path, monkeypatch
):
    abandoned(fakes, clients, "s1")
    masked = RowMaker(rows.types, Redactor(["$.email"]))
    monkeypatch.setattr(fakes.state, "modified", lambda prefix: ((key, NOW_MS - 90_000) for key in fakes.under(prefix)))
    with contextlib.closing(open_ledger(f"sqlite:///{tmp_path}/new.sqlite")) as new:
        rebuild(new, fakes.state, masked, by="op@host", now_ms=NOW_MS, stop=STOP)
        assert remask(new, fakes.state, masked, on_progress=lambda: None) == 0
        row = new.get("s1")
        assert row is not None
        assert row.about == "files/1.txt", "what is archived keeps its texts"
        reads: list[str] = []
        monkeypatch.setattr(Follower, "_read", lambda _, key: reads.append(key))
        Follower(new, fakes.state, fakes.s3.clock, arrivals, STOP).check()
        assert [key for key in reads if "s1" not in key] == [], "the audit of the last minutes is read again"


def _alike(row):
    return replace(row, id=0, version=0, generation=0, changed_ms=0)


def test_a_rebuild_that_is_interrupted_leaves_the_bucket_its_ledger(fakes, ledger, rows, taken_in, tmp_path):
    check_owner(fakes.state, ledger, "op@host")
    stop = threading.Event()
    stop.set()
    new = open_ledger(f"sqlite:///{tmp_path}/new.sqlite")
    with contextlib.closing(new), pytest.raises(ConfigError, match="interrupted"):
        rebuild(new, fakes.state, rows, by="op@host", now_ms=NOW_MS, stop=stop)
    assert json.loads(fakes.s3.records[OWNER_KEY])["id"] == ledger.ledger_id()


def test_a_record_that_is_none_is_passed_over(fakes, follower, ledger, taken_in):
    fakes.s3.records["dead-letters/2026-11-29/x.json"] = b"[]"
    follower.check()
    assert len(states(ledger)) == 4
    with pytest.raises(ValueError, match="is not a record"):
        dead_letter_store.read(fakes.state, "dead-letters/2026-11-29/x.json")


def test_a_row_that_was_changed_after_its_record_was_read_is_not_set_back(
    fakes, ledger, follower, clients, taken_in, monkeypatch
):
    read = follower._read

    def read_just_before_it_is_sent(key):
        stored = read(key)
        if stored.dead_letter.id == "s1" and ledger.get("s1").state is RowState.OPEN:
            redriven(fakes, clients, "s1")
            ledger.change("s1", version=None, by="op", action="redrive", state=RowState.SENT)
        return stored

    monkeypatch.setattr(follower, "_read", read_just_before_it_is_sent)
    follower._adopt(fakes.state.keys(DEAD_LETTERS_PREFIX))
    assert ledger.get("s1").state is RowState.SENT


def test_an_entry_about_more_than_a_query_can_name_is_followed(fakes, ledger, follower, clients, taken_in, monkeypatch):
    abandoned(fakes, clients, "s0")
    asked = []
    right = ledger.by_identity

    def by_identity(names):
        asked.append(len(list(names)))
        return right(names)

    monkeypatch.setattr(ledger, "by_identity", by_identity)
    ids = (*(f"other-{number}" for number in range(1_200)), "s0")
    audit.write(fakes.state, AuditEvent("abandon", "run", "op", ids, dict.fromkeys(ids, "abandoned")))
    follower.follow()
    assert ledger.get("s0").state is RowState.ABANDONED
    assert max(asked) <= 500


def test_an_entry_of_a_host_whose_clock_is_fast_hides_no_other(fakes, ledger, follower, clients, taken_in):
    ahead = AuditEvent("note", "run", "op", (), {}, at=datetime.now(UTC) + timedelta(minutes=40))
    audit.write(fakes.state, ahead)
    follower.follow()
    assert ledger.get_mark("audit") <= first_mark(NOW_MS)


def test_a_check_that_is_stopped_calls_nothing_missing(fakes, ledger, follower, clients, taken_in):
    abandoned(fakes, clients, "s0")
    follower._stop.set()
    assert follower.check() == 0
    assert ledger.get("s0").state is RowState.OPEN
