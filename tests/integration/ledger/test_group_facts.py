"""What is known of a group as a whole: counted as rows change, compared with a plain loop over them, on both databases."""

import random
import time
from collections import Counter
from typing import Any

from recovery.ledger.group_counters import TREND_PERIODS, Name
from recovery.ledger.group_facts import NO_TREND, Annotation, Facts
from recovery.ledger.ledger import Ledger
from recovery.ledger.outcomes import PERIOD_MS
from recovery.ledger.rows import WAITING, Change, State
from recovery.ledger.selection import Selection
from testing.ledgers import arrival, row

GROUP: Name = ("5b1f2c7d90aa", "ReadTimeoutError", "RECOVERABLE")
EVERY = tuple(State)
NOW_MS = time.time_ns() // 1_000_000
HOUR_MS = 3_600_000


def facts(ledger: Ledger, name: Name = GROUP, states: tuple[State, ...] = WAITING) -> Facts:
    return ledger.group_facts.of([name], states)[name]


def change(ledger: Ledger, *names: str, **fields: Any) -> None:
    ledger.change_many([Change(name, "test", "ana", fields) for name in names])


def send(ledger: Ledger, *names: str, run: str = "run-1", at_ms: int = NOW_MS - HOUR_MS, **fields: Any) -> None:
    change(ledger, *names, state=State.SENT, sent_at_ms=at_ms, sent_run=run, sent_by="ana", **fields)


def come(ledger: Ledger, *names: str, at_ms: int = NOW_MS, **fields: Any) -> None:
    ledger.take_in([arrival(name, f"{name}-{at_ms}", at_ms=at_ms, **fields) for name in names])


def test_a_group_of_which_nothing_is_known_has_no_facts(ledger: Ledger) -> None:
    assert facts(ledger) == Facts(NO_TREND, None, None, None, None, None)
    assert ledger.group_facts.of([]) == {}


def test_the_trend_has_the_arrivals_of_two_weeks_by_the_quarter_of_a_day(ledger: Ledger) -> None:
    this = NOW_MS // PERIOD_MS * PERIOD_MS
    come(ledger, "a", "b", at_ms=this)
    come(ledger, "a", at_ms=this - 1)
    come(ledger, "c", at_ms=this - (TREND_PERIODS - 1) * PERIOD_MS)
    come(ledger, "d", at_ms=this - TREND_PERIODS * PERIOD_MS)
    come(ledger, "e", at_ms=this, fingerprint="other")
    trend = facts(ledger).trend
    assert (len(trend), sum(trend), trend[-2:], trend[0]) == (TREND_PERIODS, 4, (1, 2), 1)
    ledger.prune(0)
    assert facts(ledger).trend == trend


def test_the_last_redrive_counts_what_it_sent_what_came_back_and_what_came(ledger: Ledger) -> None:
    come(ledger, *"abcde", at_ms=NOW_MS - 2 * HOUR_MS)
    send(ledger, "a", "b")
    send(ledger, "c", at_ms=NOW_MS - HOUR_MS + 5)
    come(ledger, "a", "new")
    redrive = facts(ledger).redrive
    assert redrive is not None
    assert (redrive.run, redrive.by, redrive.sent_ms - redrive.began_ms) == ("run-1", "ana", 5)
    assert (redrive.sent, redrive.returned, redrive.arrived) == (3, 1, 2)


def test_another_run_begins_anew_and_an_earlier_one_changes_nothing(ledger: Ledger) -> None:
    come(ledger, *"abcde", at_ms=NOW_MS - 2 * HOUR_MS)
    send(ledger, "a", "b")
    send(ledger, "c", run="run-2", at_ms=NOW_MS - HOUR_MS + 5)
    send(ledger, "d", run="run-0", at_ms=NOW_MS - HOUR_MS - 5)
    come(ledger, "a", "c")
    redrive = facts(ledger).redrive
    assert redrive is not None
    assert (redrive.run, redrive.sent, redrive.returned, redrive.arrived) == ("run-2", 1, 1, 2)


def test_what_the_schedule_sends_is_no_redrive(ledger: Ledger) -> None:
    come(ledger, "a")
    send(ledger, "a", retries=1)
    assert facts(ledger).redrive is None


def test_a_return_that_is_known_before_the_sending_counts(ledger: Ledger) -> None:
    come(ledger, "a")
    change(ledger, "a", sent_at_ms=NOW_MS - 5, sent_run="run-1")
    redrive = facts(ledger).redrive
    assert redrive is not None
    assert (redrive.sent, redrive.returned, redrive.arrived) == (1, 1, 1)


def test_what_comes_back_with_another_error_came_back_to_its_old_group(ledger: Ledger) -> None:
    come(ledger, "a", at_ms=NOW_MS - 2 * HOUR_MS)
    send(ledger, "a")
    come(ledger, "a", fingerprint="other")
    redrive = facts(ledger).redrive
    assert redrive is not None
    assert (redrive.returned, redrive.arrived) == (1, 0)


def test_what_was_redriven_over_a_month_ago_is_forgotten(ledger: Ledger) -> None:
    come(ledger, "a")
    send(ledger, "a", at_ms=NOW_MS - 31 * 24 * HOUR_MS)
    ledger.prune(0)
    assert facts(ledger).redrive is None


def test_owners_holds_and_notes_are_those_of_the_states_that_were_asked_for(ledger: Ledger) -> None:
    ledger.restore_rows([
        row("a", owner="ana", hold="legal"), row("b", owner="ana"), row("c", owner="ben", note="契約\0を見た"),
        row("d", owner="eve", state=State.SENT), row("e", fingerprint="other", owner="eve"), row("f", bucket="b", owner="ben"),
        row("g", bucket="c", owner="ben"),
    ])  # fmt: skip
    found = facts(ledger)
    assert found.owner == Annotation(5, 2, "ben")
    assert found.hold == Annotation(1, 1, "legal")
    assert found.note == Annotation(1, 1, "契約\ufffdを見た")
    assert facts(ledger, states=EVERY).owner == Annotation(6, 3, "ben")
    assert facts(ledger, states=()).owner is None


def test_what_nobody_says_any_more_is_nowhere(ledger: Ledger) -> None:
    come(ledger, "a", "b")
    change(ledger, "a", "b", note="secret " * 400)
    change(ledger, "a", note=None)
    assert facts(ledger).note == Annotation(1, 1, ("secret " * 400)[:500])
    change(ledger, "b", state=State.ABANDONED)
    assert facts(ledger, states=EVERY).note == Annotation(1, 1, ("secret " * 400)[:500])
    ledger.prune(2**60)
    with ledger._database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM annotations").scalar_one() == 0
    assert ledger.count(Selection(states=EVERY)) == 1


def test_annotations_agree_with_the_rows_after_whatever_happened(ledger: Ledger) -> None:
    chance = random.Random(5)
    for step in range(60):
        names = sorted({f"{chance.randrange(40):02d}" for _ in range(6)})
        come(ledger, *names, at_ms=NOW_MS + step, error_type=chance.choice("AB"), bucket=chance.choice("xyz"))
        said = {field: chance.choice([None, "one", "two"]) for field in ("owner", "hold", "note")}
        change(ledger, *names[:3], state=chance.choice(EVERY), **said)
        if step % 20 == 19:
            ledger.prune(NOW_MS * 2)
    for error_type in "AB":
        name = (GROUP[0], error_type, GROUP[2])
        members = list(ledger.rows(Selection(error_type=error_type)))
        found = facts(ledger, name)
        for field, annotation in (("owner", found.owner), ("hold", found.hold), ("note", found.note)):
            texts = Counter(value for one in members if (value := getattr(one, field)) is not None)
            assert annotation is not None
            assert (annotation.count, annotation.different) == (texts.total(), len(texts))
            assert texts[annotation.text] == max(texts.values())


def test_the_buckets_are_counted_and_the_most_frequent_is_named(ledger: Ledger) -> None:
    come(ledger, "a", "b", bucket="営業")
    assert facts(ledger).bucket == Annotation(2, 1, "営業")
    come(ledger, "c", "d", "e", bucket="b-1")
    come(ledger, "f", bucket="other", fingerprint="other")
    come(ledger, "g", bucket="")
    assert facts(ledger).bucket == Annotation(5, 2, "b-1")
    change(ledger, "c", "d", "e", state=State.ABANDONED)
    assert facts(ledger).bucket == Annotation(2, 1, "営業")
    assert facts(ledger, states=EVERY).bucket == Annotation(5, 2, "b-1")
