"""Suggestions from what was done, counted as the rows change, on both databases."""

import time
from typing import Any

import pytest

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Change, State
from recovery.ledger.suggestions import Advice, Basis, Suggestion
from testing.ledgers import arrival
from worker.core.base.classify import FailureKind

HOUR_MS = 3_600_000
LONG_AGO_MS = time.time_ns() // 1_000_000 - 12 * HOUR_MS
GROUP = ("5b1f2c7d90aa", "ReadTimeoutError", "GET s3://documents/x: no answer in 30 s")


def take_in(ledger: Ledger, count: int, prefix: str = "a", **fields: Any) -> list[str]:
    names = [f"{prefix}{number}" for number in range(count)]
    ledger.take_in([arrival(name, **fields) for name in names])
    return names


def change(ledger: Ledger, names: list[str], **fields: Any) -> None:
    done = ledger.change_many([Change(name, "test", "ana", fields) for name in names])
    assert not done.unknown


def send(ledger: Ledger, names: list[str], at_ms: int = LONG_AGO_MS) -> None:
    change(ledger, names, state=State.SENT, sent_at_ms=at_ms)


def come_back(ledger: Ledger, names: list[str]) -> None:
    ledger.take_in([arrival(name, f"again-{name}") for name in names])


def suggested(
    ledger: Ledger, group: tuple[str, str, str] = GROUP, kind: FailureKind = FailureKind.RECOVERABLE
) -> Suggestion | None:
    fingerprint, error_type, message = group
    return ledger.suggestions.of([(fingerprint, error_type, kind, message)]).get((fingerprint, error_type))


def test_what_stayed_away_after_a_redrive_is_to_be_redriven(ledger: Ledger) -> None:
    names = take_in(ledger, 30)
    send(ledger, names)
    come_back(ledger, names[:2])
    found = suggested(ledger)
    assert found is not None
    assert (found.advice, found.basis, round(found.share, 3)) == (Advice.REDRIVE, Basis.GROUP, 0.906)
    assert found.text == "of 30 in this group redriven in 30 days, 28 did not come back: redrive"


def test_what_was_sent_just_now_may_still_come_back(ledger: Ledger) -> None:
    names = take_in(ledger, 30)
    send(ledger, names, time.time_ns() // 1_000_000)
    assert suggested(ledger) is None


def test_what_was_sent_over_a_month_ago_does_not_count(ledger: Ledger) -> None:
    names = take_in(ledger, 30)
    send(ledger, names, LONG_AGO_MS - 31 * 24 * HOUR_MS)
    assert suggested(ledger) is None


def test_what_mostly_came_back_suggests_nothing(ledger: Ledger) -> None:
    names = take_in(ledger, 30)
    send(ledger, names)
    come_back(ledger, names[:15])
    assert suggested(ledger) is None


def test_what_was_given_up_is_to_be_given_up(ledger: Ledger) -> None:
    names = take_in(ledger, 38)
    change(ledger, names[:30], state=State.ARCHIVED)
    change(ledger, names[30:36], state=State.ABANDONED)
    send(ledger, names[36:])
    found = suggested(ledger)
    assert found is not None
    assert (found.outcomes.archived, found.outcomes.abandoned) == (30, 6)
    assert found.text == "of 38 in this group settled in 30 days, 36 were archived or abandoned: abandon"


@pytest.mark.parametrize(("count", "is_enough"), [(9, False), (10, True)])
def test_of_a_few_nothing_is_concluded(ledger: Ledger, count: int, is_enough: bool) -> None:
    change(ledger, take_in(ledger, count), state=State.ARCHIVED)
    assert (suggested(ledger) is not None) is is_enough


def test_a_group_without_history_learns_from_those_that_say_the_same(ledger: Ledger) -> None:
    send(ledger, take_in(ledger, 12))
    change(ledger, take_in(ledger, 40, "b", fingerprint="f2", message="the disk is full"), state=State.ABANDONED)
    change(ledger, take_in(ledger, 40, "c", fingerprint="f3", error_type="OtherError"), state=State.ABANDONED)
    found = suggested(ledger, ("new", "ReadTimeoutError", "GET s3://documents/y.pdf: no answer in 7 s"))
    assert found is not None
    assert found.text == "of 12 similar to these redriven in 30 days, 12 did not come back: redrive"
    assert suggested(ledger, ("new", "ReadTimeoutError", "something else entirely")) is None
    assert suggested(ledger, ("new", "ReadTimeoutError", "")) is None
    assert suggested(ledger, ("new", "NeverSeenError", GROUP[2])) is None


def test_a_return_that_the_ledger_learns_of_before_the_sending_counts_as_both(ledger: Ledger) -> None:
    names = take_in(ledger, 12)
    come_back(ledger, names)
    change(ledger, names, sent_at_ms=LONG_AGO_MS)  # as the follower does
    change(ledger, names, note="no sending")
    [(redriven, returned)] = _sums(ledger)
    assert (redriven, returned) == (12, 12)


def _sums(ledger: Ledger) -> list[tuple[int, int]]:
    with ledger._database.reading() as connection:
        found = connection.exec_driver_sql("SELECT sum(redriven), sum(returned) FROM outcomes")
        return [(int(redriven), int(returned)) for redriven, returned in found]


def test_old_outcomes_are_forgotten_as_rows_are_pruned(ledger: Ledger) -> None:
    send(ledger, take_in(ledger, 3), LONG_AGO_MS - 40 * 24 * HOUR_MS)
    send(ledger, take_in(ledger, 4, "b"))
    ledger.prune(0)
    assert _sums(ledger) == [(4, 0)]


def test_to_give_up_what_the_system_is_at_fault_for_is_never_suggested(ledger: Ledger) -> None:
    change(ledger, take_in(ledger, 40), state=State.ABANDONED)
    found = suggested(ledger)
    assert found is not None
    assert found.advice is Advice.ABANDON
    assert suggested(ledger, kind=FailureKind.SYSTEM_ERROR) is None


def test_without_groups_nothing_is_asked(ledger: Ledger) -> None:
    assert ledger.suggestions.of([]) == {}
