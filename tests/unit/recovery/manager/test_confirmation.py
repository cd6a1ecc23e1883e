"""The manager's confirmation: rows end as S3, index and queues say, after the audit; nothing ends by a failure."""

import threading
from dataclasses import replace

import pytest

from recovery.ledger.rows import Arrival, Outcome
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import parse_query
from recovery.manager import confirmation as module
from recovery.manager.confirmation import NO_INDEX, ConfirmationParts, Confirmer
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOW_MS, SQS_DOWN
from worker.core.base.errors import StoreError, WorkerError
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import Sending, StoredState

DAY_MS = 86_400_000
MAPS = '{"type": "maps", "city": "x"}'
HALF_MS = 900_000


@pytest.fixture
def clock(fakes, monkeypatch):
    """Moves S3's clock."""
    times = {"now": NOW_MS}
    monkeypatch.setattr(fakes.s3.clock, "now_ms", lambda: times["now"])

    def move(ms):
        times["now"] += ms

    return move


@pytest.fixture
def confirmer_of(fakes, ledger, rows, follower):
    def make(index=fakes.index):
        return Confirmer(
            ConfirmationParts(
                settings=fakes.settings(), rows=rows, objects=fakes.s3, state=fakes.state, ledger=ledger, index=index,
                queue_at=lambda _: fakes.source, refresh=follower.refresh, keep_days=90, by="manager@h",
                stop=threading.Event(),
            )
        )  # fmt: skip

    return make


@pytest.fixture
def send(fakes, ledger, rows, clock):
    """Sends a dead letter again, and waits ten seconds."""

    def send_one(name="m", *, body="", ago_ms=10_000):
        fakes.dlq.add(name, body or s3_event(s3_record(BUCKET, f"{name}.txt")))
        stored = fakes.store(name)
        sending = Sending(NOW_MS, "op@h", "run", fakes.source.url, NOW_MS + 2 * HALF_MS)
        written = dead_letter_store.write(fakes.state, replace(stored, state=StoredState.SENT, sent=sending))
        assert written is not None
        ledger.take_in([Arrival(name, rows.row(written), NOW_MS)])
        clock(ago_ms)
        return written

    return send_one


def handle(fakes, key="m.txt"):
    fakes.s3.bodies[key] = b"text"
    fakes.indexed(key)
    fakes.index.documents[BUCKET, key] = NOW_MS + 1, fakes.index.documents[BUCKET, key][1]


def yes():
    return True


def test_what_was_handled_is_recovered_and_its_record_is_deleted(fakes, ledger, confirmer_of, send):
    send()
    confirmer = confirmer_of()
    fakes.s3.bodies["m.txt"] = b"text"
    confirmer.turn(yes)
    assert ledger.get("m").state is RowState.SENT
    handle(fakes)
    confirmer_of().turn(yes)
    row = ledger.get("m")
    assert (row.state, row.outcome, row.finding) == (RowState.RECOVERED, None, None)
    assert [event.action for event in ledger.events("m")] == ["recovered"]
    assert fakes.under(DEAD_LETTERS_PREFIX) == {}
    [entry] = fakes.under("s3-index-worker/audit/").values()
    assert entry["result"] == {"m": "recovered"}


def test_a_turn_looks_only_at_what_is_due(fakes, confirmer_of, send, clock):
    send()
    fakes.s3.bodies["m.txt"] = b"text"
    confirmer = confirmer_of()
    confirmer.turn(yes)
    fakes.faults.calls.clear()
    confirmer.turn(yes)
    assert "index.stored" not in fakes.faults.calls
    clock(10_000)
    confirmer.turn(yes)
    assert "index.stored" in fakes.faults.calls


def test_ours_that_is_not_confirmed_in_time_is_unconfirmed_and_can_be_selected(
    fakes, ledger, confirmer_of, send, clock
):
    send()
    fakes.s3.bodies["m.txt"] = b"text"
    confirmer = confirmer_of()
    clock(HALF_MS)
    confirmer.turn(yes)
    assert ledger.get("m").outcome is None
    clock(HALF_MS)
    confirmer.turn(yes)
    row = ledger.get("m")
    assert (row.state, row.outcome) == (RowState.SENT, Outcome.UNCONFIRMED)
    assert "may be sent again; the index does not hold s3://files/m.txt" in row.finding
    assert [one.identity for one in ledger.page(parse_query("state:sent outcome:unconfirmed")).rows] == ["m"]
    assert ledger.stats().by_outcome == {"unconfirmed": 1}
    handle(fakes)
    clock(HALF_MS)
    confirmer.turn(yes)
    assert (ledger.get("m").state, ledger.stats().by_outcome) == (RowState.RECOVERED, {})


def test_without_an_index_nothing_of_ours_is_confirmed_and_its_row_says_why(fakes, ledger, confirmer_of, send):
    send()
    handle(fakes)
    confirmer = confirmer_of(index=None)
    confirmer.turn(yes)
    row = ledger.get("m")
    assert (row.state, row.finding, confirmer.missing) == (RowState.SENT, NO_INDEX, NO_INDEX)
    assert confirmer_of().missing == ""


def test_another_programs_message_has_not_returned_once_its_queue_was_empty_and_leaves_after_the_days_kept(
    fakes, ledger, confirmer_of, send, clock
):
    send(body=MAPS)
    confirmer = confirmer_of()
    clock(60_000)
    confirmer.turn(yes)
    assert ledger.get("m").outcome is None
    clock(HALF_MS)
    confirmer.turn(yes)
    row = ledger.get("m")
    assert (row.state, row.outcome) == (RowState.SENT, Outcome.NOT_RETURNED)
    fakes.source.add("other", "x")
    clock(90 * DAY_MS)
    confirmer.turn(yes)
    row = ledger.get("m")
    assert (row.state, row.outcome) == (RowState.RECOVERED, Outcome.NOT_RETURNED)
    [entry] = fakes.under("s3-index-worker/audit/").values()
    assert entry["result"] == {"m": "not_returned"}
    assert fakes.under(DEAD_LETTERS_PREFIX) == {}


@pytest.mark.parametrize("cannot_be_asked", [False, True])
def test_one_whose_queue_was_never_empty_is_unconfirmed(fakes, ledger, confirmer_of, send, clock, cannot_be_asked):
    send(body=MAPS)
    fakes.source.add("other", "x")
    if cannot_be_asked:
        fakes.faults.add("source.attributes", SQS_DOWN)
    confirmer = confirmer_of()
    for _ in range(3):
        clock(HALF_MS)
        confirmer.turn(yes)
    assert ledger.get("m").outcome == Outcome.UNCONFIRMED


@pytest.mark.parametrize(
    ("call", "error"),
    [("state.get", DOWN), ("state.claim", DOWN), ("state.put", DOWN), ("state.delete", DOWN), ("s3.head", DOWN),
     ("index.stored", INDEX_DOWN)],
)  # fmt: skip
def test_any_single_failing_call_loses_nothing_and_a_later_turn_ends_it(
    fakes, ledger, confirmer_of, send, clock, call, error
):
    stored = send()
    handle(fakes)
    fakes.faults.add(call, error, times=1)
    confirmer = confirmer_of()
    with pytest.raises(WorkerError):
        confirmer.turn(yes)
    assert ledger.get("m").state is RowState.SENT
    assert list(fakes.under(DEAD_LETTERS_PREFIX)) == [stored.key]
    clock(600_000)
    confirmer.turn(yes)
    assert ledger.get("m").state is RowState.RECOVERED
    assert fakes.under(DEAD_LETTERS_PREFIX) == {}


def test_one_that_came_back_without_the_dlq_is_open_at_the_next_look(fakes, ledger, confirmer_of, send):
    stored = send()
    dead_letter_store.write(fakes.state, stored.returned(replace(stored.dead_letter, id="w1"), NOW_MS))
    confirmer_of().turn(yes)
    row = ledger.get("w1")
    assert (row.identity, row.state, row.attempts) == ("m", RowState.OPEN, 2)


def test_a_bucket_that_does_not_answer_keeps_no_other_from_being_confirmed(
    fakes, ledger, confirmer_of, send, clock, monkeypatch
):
    send("away", body=s3_event(s3_record("other", "m.txt")))
    send("m")
    handle(fakes)
    head = fakes.s3.head

    def sometimes(bucket, key):
        if bucket == "other":
            raise DOWN
        return head(bucket, key)

    confirmer = confirmer_of()
    with monkeypatch.context() as patched:
        patched.setattr(fakes.s3, "head", sometimes)
        with pytest.raises(StoreError):
            confirmer.turn(yes)
    assert (ledger.get("m").state, ledger.get("away").state) == (RowState.RECOVERED, RowState.SENT)
    fakes.faults.calls.clear()
    confirmer.turn(yes)
    assert "index.stored" in fakes.faults.calls, "what failed is looked at again, although its time has passed"


def test_every_queue_is_asked_in_its_turn(fakes, confirmer_of, monkeypatch):
    monkeypatch.setattr(module, "MAX_QUEUES", 2)
    confirmer, asked = confirmer_of(), []

    def queue_at(url):
        asked.append(url)
        return fakes.source

    monkeypatch.setattr(confirmer, "_parts", replace(confirmer._parts, queue_at=queue_at))
    for _ in range(3):
        confirmer._look_into(["a", "b", "c"], yes)
    assert asked == ["a", "b", "c", "a", "b", "c"]


def test_no_queue_is_asked_by_a_manager_that_stops(fakes, confirmer_of):
    confirmer_of()._look_into(["a"], lambda: False)
    assert "source.attributes" not in fakes.faults.calls


def test_a_manager_that_has_lost_the_lease_looks_at_nothing(fakes, ledger, confirmer_of, send):
    send()
    handle(fakes)
    confirmer_of().turn(lambda: False)
    assert ledger.get("m").state is RowState.SENT
