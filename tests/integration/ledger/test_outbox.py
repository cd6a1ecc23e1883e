"""News become counts, counts become notifications, and each is there once, on both databases."""

from dataclasses import replace
from typing import Any

from recovery.ledger.ledger import Ledger
from recovery.ledger.news import Reason
from recovery.ledger.outbox import About, Sending, ToSay
from recovery.ledger.rows import USED_UP, Change, State
from testing.ledgers import NOW_MS, arrival
from worker.core.base.classify import FailureKind

SAID = ToSay(About.GROUP, "ops 1 (json)", "件名\x00", "本文")


def fail(ledger: Ledger, *names: str, **fields: Any) -> None:
    usual: dict[str, Any] = {"kind": FailureKind.SYSTEM_ERROR, **fields}
    ledger.take_in([replace(arrival(name, **usual), is_news=True) for name in names])


def count_all(ledger: Ledger, recipient: str = "ops") -> None:
    ledger.outbox.count_news([(one, recipient) for one in ledger.outbox.news(limit=100)])


def test_only_what_intake_took_in_and_nothing_retries_is_news(ledger: Ledger) -> None:
    fail(ledger, "a", "b")
    fail(ledger, "c", state=State.SCHEDULED)
    ledger.take_in([arrival("d", kind=FailureKind.SYSTEM_ERROR)])
    fail(ledger, "a")  # the same delivery
    news = sorted(ledger.outbox.news(limit=10), key=lambda one: one.row.identity)
    assert [(one.row.identity, one.reason, one.at_ms) for one in news] == [
        ("a", Reason.FAILED, NOW_MS),
        ("b", Reason.FAILED, NOW_MS),
    ]
    assert news[0].row == ledger.get("a")
    assert len(ledger.outbox.news(limit=1)) == 1


def test_that_retries_are_used_up_is_noted_with_the_arrival_that_says_so(ledger: Ledger) -> None:
    last = replace(arrival("a", at_ms=NOW_MS + 5, kind=FailureKind.RECOVERABLE), is_news=True, also=(USED_UP,))
    ledger.take_in([last])
    [one] = ledger.outbox.news(limit=10)
    assert (one.row.identity, one.reason, one.at_ms) == ("a", Reason.RETRIES_USED_UP, NOW_MS + 5)


def test_what_is_not_retried_any_more_is_news_with_the_change_that_says_so(ledger: Ledger) -> None:
    ledger.take_in([arrival("a", state=State.SCHEDULED), arrival("b", state=State.SCHEDULED)])
    ledger.change_many([Change("a", "not retried", "manager@h", {"state": State.OPEN}, is_news=True)])
    ledger.change_many([Change("b", "put off", "manager@h", {"retry_at_ms": NOW_MS + 9}, is_news=True)])
    [one] = ledger.outbox.news(limit=10)
    assert (one.row.identity, one.reason) == ("a", Reason.FAILED)


def test_news_that_another_manager_has_counted_are_not_counted_again(ledger: Ledger) -> None:
    fail(ledger, "a", "b")
    seen_by_both = [(one, "ops") for one in ledger.outbox.news(limit=10)]
    ledger.outbox.count_news(seen_by_both[:1])
    ledger.outbox.count_news(seen_by_both)
    [topic] = ledger.outbox.topics()
    assert (topic.waiting, topic.total) == (2, 2)


def test_news_are_counted_by_recipient_and_group_and_forgotten(ledger: Ledger) -> None:
    fail(ledger, "a", "b", object_key="契約/1.pdf")
    fail(ledger, "c", fingerprint="", error_type="E" * 300)
    count_all(ledger)
    assert ledger.outbox.news(limit=10) == []
    first, second = ledger.outbox.topics()
    assert (first.recipient, first.name, first.waiting, first.total, first.told_ms) == ("ops", "5b1f2c7d90aa", 2, 2, 0)
    assert (first.first_ms, first.last_ms, first.example) == (NOW_MS, NOW_MS, "s3://documents/契約/1.pdf")
    assert (second.name, second.waiting) == ("E" * 200, 1)


def test_what_was_said_of_a_topic_is_not_said_again(ledger: Ledger) -> None:
    fail(ledger, "a", "b")
    count_all(ledger)
    [topic] = ledger.outbox.topics()
    fail(ledger, "c")
    count_all(ledger)
    ledger.outbox.say([SAID], [topic], now_ms=NOW_MS + 1)
    [after] = ledger.outbox.topics()
    assert (after.waiting, after.total, after.told_ms) == (1, 3, NOW_MS + 1)
    assert ledger.outbox.made_since(NOW_MS, ("ops 1 (json)",)) == 1
    assert ledger.outbox.made_since(NOW_MS + 1, ("ops 1 (json)",)) == 0
    assert ledger.outbox.made_since(NOW_MS, ()) == 0


def test_a_notification_waits_is_sent_or_given_up(ledger: Ledger) -> None:
    ledger.outbox.say([SAID, SAID, SAID], [], now_ms=NOW_MS)
    one, two, three = ledger.outbox.due(NOW_MS, limit=10)
    assert (one.subject, one.text, one.state, one.attempts) == ("件名\ufffd", "本文", Sending.WAITING, 0)
    ledger.outbox.sent(one.id, at_ms=NOW_MS + 1)
    ledger.outbox.not_sent(two.id, "refused", next_ms=NOW_MS + 60)
    ledger.outbox.not_sent(three.id, "refused for ever", next_ms=None)
    ledger.outbox.not_sent(one.id, "too late", next_ms=None)  # another manager has sent it
    assert ledger.outbox.due(NOW_MS + 59, limit=10) == []
    assert [(found.id, found.attempts, found.error) for found in ledger.outbox.due(NOW_MS + 60, limit=10)] == [
        (two.id, 1, "refused")
    ]
    newest = ledger.outbox.page(limit=10)
    assert [(found.id, found.state, found.sent_ms) for found in newest] == [
        (three.id, Sending.FAILED, None), (two.id, Sending.WAITING, None), (one.id, Sending.SENT, NOW_MS + 1),
    ]  # fmt: skip
    assert ledger.outbox.page(before=two.id, limit=10) == newest[2:]
    assert ledger.outbox.page(state=Sending.FAILED, limit=10) == newest[:1]
    assert ledger.outbox.failed_since(NOW_MS) == (1, "refused for ever")
    assert ledger.outbox.failed_since(NOW_MS + 1) == (0, "")


def test_what_was_long_ago_is_forgotten_but_not_what_waits(ledger: Ledger) -> None:
    fail(ledger, "a")
    fail(ledger, "b", fingerprint="other")
    count_all(ledger)
    told, unsaid = sorted(ledger.outbox.topics(), key=lambda one: one.fingerprint)
    ledger.outbox.say([SAID, SAID], [told], now_ms=NOW_MS)
    [sent, waiting] = ledger.outbox.due(NOW_MS, limit=10)
    ledger.outbox.sent(sent.id, at_ms=NOW_MS)
    ledger.outbox.prune(quiet_before_ms=NOW_MS, made_before_ms=NOW_MS)
    assert len(ledger.outbox.topics()) == len(ledger.outbox.page(limit=10)) == 2
    ledger.outbox.prune(quiet_before_ms=NOW_MS + 1, made_before_ms=NOW_MS + 1)
    assert ledger.outbox.topics() == [unsaid]
    assert [one.id for one in ledger.outbox.page(limit=10)] == [waiting.id]


def test_news_of_rows_that_are_deleted_or_replaced_go_with_them(ledger: Ledger) -> None:
    fail(ledger, "a", "b")
    row = ledger.get("a")
    assert row is not None
    ledger.restore_rows([row])
    ledger.change("b", version=None, by="ana", action="abandon", state=State.ABANDONED)
    assert ledger.prune(2**50) == 1
    assert ledger.outbox.news(limit=10) == []
