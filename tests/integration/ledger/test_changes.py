"""Changes apply to the version that was meant; counters follow; what ended long ago can be deleted, and all be restored."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from recovery.ledger import changes
from recovery.ledger import ledger as ledger_module
from recovery.ledger.errors import UnknownDeadLetterError, VersionConflictError
from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import ArrivalRow, Change, Event, Row, State
from recovery.ledger.selection import Selection
from testing.ledgers import NOW_MS, arrival, recounted, row
from worker.core.base.classify import FailureKind

EVERY = Selection(states=tuple(State))


def get(ledger: Ledger, name: str) -> Row:
    found = ledger.get(name)
    assert found is not None
    return found


def test_a_change_makes_a_version_and_an_event(ledger: Ledger) -> None:
    ledger.take_in([arrival("a")])
    changed = ledger.change(
        "a", version=1, by="ana", action="schedule", details={"why": "時間"}, state=State.SCHEDULED, retry_at_ms=5
    )
    assert changed == get(ledger, "a")
    assert (changed.version, changed.state, changed.retry_at_ms) == (2, State.SCHEDULED, 5)
    assert changed.changed_ms > NOW_MS
    [event] = ledger.events("a")
    assert event == Event(
        "a", changed.changed_ms, "ana", "schedule", {"from": "open", "to": "scheduled", "why": "時間"}, event.id
    )


def test_events_are_read_a_page_at_a_time(ledger: Ledger) -> None:
    ledger.take_in([arrival("a"), arrival("b")])
    for name in ("a", "b", "a", "a"):
        ledger.change(name, version=None, by="ana", action="note", note="n")
    first = ledger.events("a", limit=2)
    assert len(first) == 2
    assert len(ledger.events("a", after=first[-1].id)) == 1


def test_a_change_of_another_version_is_refused(ledger: Ledger) -> None:
    ledger.take_in([arrival("a")])
    ledger.change("a", version=1, by="ana", action="note", note="first")
    with pytest.raises(VersionConflictError, match="version 1 was meant, it is 2 now") as raised:
        ledger.change("a", version=1, by="ben", action="note", note="second")
    assert (raised.value.wanted, raised.value.found) == (1, 2)
    assert get(ledger, "a").note == "first"
    assert len(ledger.events("a")) == 1


def test_a_change_of_any_version_is_made(ledger: Ledger) -> None:
    ledger.take_in([arrival("a")])
    assert [ledger.change("a", version=None, by="ana", action="note", note=n).version for n in "xyz"] == [2, 3, 4]


def test_a_dead_letter_without_a_row_is_named(ledger: Ledger) -> None:
    with pytest.raises(UnknownDeadLetterError, match="no dead letter x"):
        ledger.change("x", version=1, by="ana", action="note", note="n")


@pytest.mark.parametrize("name", ["version", "id", "identity", "key", "colour"])
def test_a_field_that_cannot_be_changed_is_named(ledger: Ledger, name: str) -> None:
    ledger.take_in([arrival("a")])
    with pytest.raises(ValueError, match=f"^{name} cannot be changed"):
        ledger.change_many([Change("a", "note", "ana", {name: 1})])
    assert get(ledger, "a").version == 1


def test_one_of_eight_rivals_changes_a_version(ledger: Ledger) -> None:
    ledger.take_in([arrival("a")])

    def change(place: int) -> bool:
        try:
            ledger.change("a", version=1, by=f"rival-{place}", action="note", note=str(place))
        except VersionConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(change, range(8))) == 1
    assert get(ledger, "a").version == 2


def test_many_changes_leave_out_what_was_changed_and_what_is_unknown(ledger: Ledger) -> None:
    ledger.take_in([arrival(name) for name in "abc"])
    ledger.change("b", version=1, by="ana", action="hold", hold="wait")
    changed = ledger.change_many(
        [Change(name, "sent", "ben", {"state": State.SENT, "sent_run": "r"}, version=1) for name in "abcx"]
    )
    assert changed.rows.keys() == {"a", "c"}
    assert changed.conflicts == {"b": 2}
    assert changed.unknown == ("x",)
    assert [get(ledger, name).state for name in "abc"] == [State.SENT, State.OPEN, State.SENT]
    assert ledger.change_many([]).rows == {}


def test_a_thousand_rows_change_in_one_transaction(ledger: Ledger) -> None:
    ledger.take_in([arrival(f"{number:04d}") for number in range(changes.MAX_CHANGES)])
    wanted = [Change(f"{number:04d}", "sent", "ana", {"state": State.SENT}) for number in range(changes.MAX_CHANGES)]
    assert len(ledger.change_many(wanted).rows) == changes.MAX_CHANGES
    assert ledger.stats().by_state[State.SENT] == changes.MAX_CHANGES
    with pytest.raises(ValueError, match="1,001 changes at once"):
        ledger.change_many([*wanted, Change("x", "sent", "ana", {})])
    with pytest.raises(ValueError, match="same dead letter"):
        ledger.change_many([wanted[0], wanted[0]])


def test_a_change_of_what_is_shared_moves_a_dead_letter_to_another_group(ledger: Ledger) -> None:
    ledger.take_in([arrival("a", kind=FailureKind.UNKNOWN), arrival("b", kind=FailureKind.UNKNOWN)])
    ledger.change(
        "a",
        version=1,
        by="diagnosis",
        action="diagnosed",
        kind=FailureKind.USER_ERROR,
        finding="gone",
        about="b/新しい.txt",
    )
    assert ledger.stats().by_kind == {"UNKNOWN": 1, "USER_ERROR": 1}
    assert ledger.count(Selection(text_contains="新しい")) == 1
    assert ledger.count(Selection(text_contains="documents/経理/a")) == 1


def test_counters_agree_with_the_rows_after_whatever_happened(ledger: Ledger) -> None:
    chance = random.Random(11)
    for step in range(60):
        names = [f"{chance.randrange(80):02d}" for _ in range(5)]
        error_type = chance.choice(["A", "B", "C"])
        ledger.take_in(
            [
                arrival(name, f"m-{step}-{name}", error_type=error_type, size_bytes=chance.randrange(99))
                for name in names
            ]
        )
        ledger.change_many(
            [
                Change(name, "moved", "test", {"state": chance.choice(list(State)), "retries": chance.randrange(4)})
                for name in sorted(set(names))[:3]
            ]
        )
        if step % 20 == 19:
            ledger.prune(NOW_MS * 2)
    counted, rows = ledger.stats(), list(ledger.rows(EVERY))
    recounted(ledger)
    assert ledger.stats() == counted
    waiting = [one for one in rows if one.state in {State.OPEN, State.SCHEDULED}]
    assert sum(counted.by_state.values()) == len(rows)
    assert counted.waiting == len(waiting) == sum(counted.by_error_type.values())
    assert counted.totals.size_bytes == sum(one.size_bytes for one in waiting)
    assert counted.average_retries == sum(one.redrives + one.retries for one in waiting) / len(waiting)


def test_only_what_ended_before_is_pruned_with_all_that_belongs_to_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "PRUNED_AT_ONCE", 2)
    rows = [
        row(f"{state}-{age}", state=state, changed_ms=NOW_MS - age, bucket=f"b-{state}-{age}")
        for state in State
        for age in (1, 9)
    ]
    arrivals = [ArrivalRow(f"m-{one.identity}", one.identity, NOW_MS) for one in rows]
    ledger.restore_rows(rows, arrivals, [Event(one.identity, NOW_MS, "ana", "note") for one in rows])
    assert ledger.prune(NOW_MS - 5) == 3
    left = {one.identity for one in ledger.rows(EVERY)}
    assert left == {one.identity for one in rows} - {"recovered-9", "archived-9", "abandoned-9"}
    assert ledger.known_messages(f"m-{one.identity}" for one in rows).keys() == {f"m-{name}" for name in left}
    assert ledger.events("recovered-9") == []
    assert {one.bucket for one in ledger.rows(EVERY)} == {f"b-{name}" for name in left}
    assert ledger.count(Selection(states=tuple(State), key_contains="recovered-9")) == 0
    assert ledger.prune(NOW_MS - 5) == 0


def test_rows_are_restored_exactly_as_they_were(ledger: Ledger) -> None:
    rows = [
        row("a", state=State.SENT, version=7, attempts=3, hold="legal", owner="ana", note="…", sent_at_ms=5, sent_by="ana",
            sent_to="q", sent_run="r", changed_ms=9, finding="would index"),
        row("b", object_key=None, changed_ms=8),
    ]  # fmt: skip
    arrivals = [ArrivalRow("m-1", "a", 1), ArrivalRow("m-2", "a", 2)]
    events = [Event("a", 3, "ana", "hold", {"why": "契約"}), Event("b", 4, "ben", "note")]
    for _ in range(2):  # a rebuild that was killed is run again
        ledger.restore_rows(rows, arrivals, events)
        restored = ledger.by_identity("ab")
        assert [replace(restored[one.identity], id=0) for one in rows] == rows
        assert ledger.messages_of("a") == [("m-1", 1), ("m-2", 2)]
        assert [(one.at_ms, one.details) for name in "ab" for one in ledger.events(name)] == [
            (3, {"why": "契約"}),
            (4, {}),
        ]
    assert ledger.stats().by_state[State.SENT] == 1


def test_an_event_without_a_row_is_named(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="without a row: x"):
        ledger.restore_rows([row("a")], [], [Event("x", 1, "ana", "note")])
    assert ledger.get("a") is None
