"""What is asked about one dead letter, or one object, on both databases."""

from typing import Any

from recovery.ledger.ledger import Ledger
from recovery.ledger.plans import Wanted
from recovery.ledger.refusals import Limits, Verb
from recovery.ledger.rows import State
from testing.ledgers import NOW_MS, arrival

KEY = "経理/契約\0'%_.pdf"
DIFFERENT: dict[str, dict[str, Any]] = {
    "open": {}, "held": {"hold": "legal"}, "often": {"redrives": 3}, "bad": {"fault": "no JSON"}, "sent": {"state": State.SENT},
    "over": {"state": State.RECOVERED}, "given up": {"state": State.ABANDONED}, "other": {"type": "invoice"},
}  # fmt: skip


def test_what_is_refused_is_what_a_plan_refuses(ledger: Ledger) -> None:
    ledger.take_in([arrival(name, **fields) for name, fields in DIFFERENT.items()])
    for name in DIFFERENT:
        found = ledger.particular.refusals(name, Limits())
        for verb in Verb:
            plan = ledger.plans.make(Wanted(verb, "ana", {}, ids=(name,)))
            assert plan.refused == ({} if found[verb] is None else {found[verb]: 1}), (name, verb)
    assert ledger.particular.refusals("often", Limits(force=True))[Verb.REDRIVE] is None
    assert ledger.particular.refusals("nobody", Limits()) == {}


def test_the_dead_letters_of_an_object_are_found_in_any_state_the_latest_first(ledger: Ledger) -> None:
    ledger.take_in([
        arrival("a", bucket="b", object_key=KEY, last_seen_ms=NOW_MS),
        arrival("b", bucket="b", object_key=KEY, last_seen_ms=NOW_MS + 2, state=State.ABANDONED),
        arrival("c", bucket="b", object_key=KEY, last_seen_ms=NOW_MS + 1, state=State.RECOVERED),
        arrival("another key", bucket="b", object_key=KEY + "x"), arrival("another bucket", bucket="x", object_key=KEY),
    ])  # fmt: skip
    assert [row.identity for row in ledger.particular.of_object("b", KEY, limit=10)] == ["b", "c", "a"]
    assert [row.identity for row in ledger.particular.of_object("b", KEY, limit=1)] == ["b"]
    assert ledger.particular.of_object("b", "経理/契約", limit=10) == []


def test_what_moved_a_dead_letter_to_the_archive_the_last_time_is_found(ledger: Ledger) -> None:
    ledger.take_in([arrival(name) for name in ("twice", "noted", "back", "open")])
    for name, state, by in (
        ("twice", State.ABANDONED, "ana"), ("noted", State.ARCHIVED, "bo"), ("back", State.ABANDONED, "ana"),
        ("twice", State.OPEN, "cy"), ("back", State.OPEN, "cy"), ("twice", State.ABANDONED, "dee"),
    ):  # fmt: skip
        ledger.change(name, version=None, by=by, action="abandon", details={"reason": f"{by} says so"}, state=state)
    ledger.change("noted", version=None, by="eve", action="note", note="a note")
    found = ledger.particular.endings(["twice", "noted", "back", "open", "nobody"])
    said = {name: (one.by, one.details["reason"]) for name, one in found.items()}
    assert said == {"twice": ("dee", "dee says so"), "noted": ("bo", "bo says so")}
    assert ledger.particular.endings([]) == {}
