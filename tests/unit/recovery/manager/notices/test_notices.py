"""One notification for a group, then digests; nothing lost by a kill, a refusal or another manager."""

from dataclasses import replace

import pytest

from recovery.ledger.outbox import About, Sending, ToSay
from recovery.ledger.rows import USED_UP, State
from recovery.manager.notices import notices as module
from recovery.manager.notices.notices import MAX_ATTEMPTS, retry_after_s
from testing.ledgers import arrival
from tests.unit.recovery.manager.notices.conftest import EVERY_S
from worker.core.base.classify import FailureKind
from worker.core.base.liveness import Liveness

SYSTEM = {"kind": FailureKind.SYSTEM_ERROR, "error_type": "NoSuchBucket", "fingerprint": "f1"}


def yes():
    return True


def later(desk, seconds):
    desk.now_ms += seconds * 1000


def told(desk, notices, *names, **fields):
    desk.fail(*names, **fields)
    later(desk, 11)
    notices.turn(yes)


def test_a_thousand_failures_of_a_group_are_one_notification_and_one_digest(desk):
    notices = desk.notices()
    told(desk, notices, *(f"a{n}" for n in range(300)), **SYSTEM)
    assert desk.subjects() == ["System error: 300 messages failed with NoSuchBucket"]
    told(desk, notices, *(f"b{n}" for n in range(700)), **SYSTEM)
    assert len(desk.subjects()) == 1
    later(desk, EVERY_S)
    notices.turn(yes)
    assert desk.subjects()[1:] == ["Digest: 700 failures in 1 group"]
    assert "700 × NoSuchBucket (caused by the system), 1,000 in all" in desk.channels.sent[1][1].text
    later(desk, 3 * EVERY_S)
    notices.turn(yes)
    assert len(desk.subjects()) == 2


def test_a_new_group_gathers_before_it_is_told(desk):
    notices = desk.notices()
    desk.fail("a", **SYSTEM)
    notices.turn(yes)
    assert desk.subjects() == []
    later(desk, 11)
    notices.turn(yes)
    assert desk.subjects() == ["System error: 1 message failed with NoSuchBucket"]


def test_what_is_retried_by_itself_is_told_to_nobody_until_its_retries_are_used_up(desk):
    notices = desk.notices()
    told(desk, notices, "a", state=State.SCHEDULED)
    later(desk, EVERY_S)
    notices.turn(yes)
    assert desk.subjects() == []
    desk.ledger.take_in([replace(arrival("a", "last", at_ms=desk.now_ms), is_news=True, also=(USED_UP,))])
    later(desk, 11)
    notices.turn(yes)
    assert desk.subjects() == ["Retries used up: 1 message, ReadTimeoutError"]


def test_what_nothing_retries_is_told_whatever_its_kind(desk):
    told(desk, desk.notices(), "a")
    assert desk.subjects() == ["Not retried: 1 message failed with ReadTimeoutError"]


def test_what_nobody_knows_about_is_in_the_digest_alone(desk):
    notices = desk.notices()
    told(desk, notices, "a", kind=FailureKind.UNKNOWN, error_type="", fingerprint="")
    assert desk.subjects() == []
    later(desk, EVERY_S)
    notices.turn(yes)
    assert desk.subjects() == ["Digest: 1 failure in 1 group"]


def test_what_a_rebuild_or_a_follower_brings_is_told_to_nobody(desk):
    notices = desk.notices()
    desk.ledger.take_in([arrival(f"a{n}", at_ms=desk.now_ms, **SYSTEM) for n in range(20)])
    later(desk, EVERY_S + 11)
    notices.turn(yes)
    assert desk.subjects() == []


def test_a_dead_letter_that_returns_is_told_again_in_the_digest(desk):
    notices = desk.notices()
    told(desk, notices, "a", **SYSTEM)
    again = replace(arrival("a", "second", at_ms=desk.now_ms, **SYSTEM), is_news=True)
    desk.ledger.take_in([again, again])
    later(desk, EVERY_S + 1)
    notices.turn(yes)
    assert desk.subjects()[1:] == ["Digest: 1 failure in 1 group"]


def test_many_new_groups_at_once_are_ten_notifications_and_a_digest(desk):
    notices = desk.notices()
    for number in range(30):
        desk.fail(f"a{number}", **{**SYSTEM, "fingerprint": f"f{number}"})
    later(desk, 11)
    for _ in range(3):
        notices.turn(yes)
    assert len(desk.subjects()) == 10
    later(desk, EVERY_S)
    notices.turn(yes)
    assert desk.subjects()[10:] == ["Digest: 20 failures in 20 groups"]


def test_a_group_that_was_quiet_for_a_day_is_new_again(desk, monkeypatch):
    notices = desk.notices()
    told(desk, notices, "a", **SYSTEM)
    later(desk, 2 * 86_400)
    notices._prune_at = 0
    told(desk, notices)
    told(desk, notices, "b", **SYSTEM)
    assert desk.subjects() == ["System error: 1 message failed with NoSuchBucket"] * 2


def test_every_address_of_those_who_operate_is_told(desk):
    desk.channels.ops = ("ops 1 (json)", "ops 2 (slack)")
    told(desk, desk.notices(), "a", **SYSTEM)
    assert [to for to, _ in desk.channels.sent] == ["ops 1 (json)", "ops 2 (slack)"]


def test_a_refused_notification_is_tried_again_later_and_then_counted_as_sent(desk):
    notices = desk.notices()
    desk.channels.refused = {"ops 1 (json)"}
    told(desk, notices, "a", **SYSTEM)
    [waiting] = desk.ledger.outbox.page(limit=10)
    assert (waiting.state, waiting.attempts, waiting.error) == (Sending.WAITING, 1, "json: refused")
    desk.channels.refused = set()
    notices.turn(yes)
    assert desk.subjects() == []
    later(desk, retry_after_s(1))
    notices.turn(yes)
    [sent] = desk.ledger.outbox.page(limit=10)
    assert (sent.state, sent.attempts, sent.error, sent.sent_ms) == (Sending.SENT, 2, "", desk.now_ms)
    assert (desk.counted("failed"), desk.counted("sent")) == (1, 1)
    assert notices.problem() == ""


def test_what_is_refused_for_hours_is_given_up_and_health_says_so(desk):
    notices = desk.notices()
    desk.channels.refused = {"ops 1 (json)"}
    told(desk, notices, "a", **SYSTEM)
    for attempt in range(1, MAX_ATTEMPTS):
        later(desk, retry_after_s(attempt))
        notices.turn(yes)
    [failed] = desk.ledger.outbox.page(state=Sending.FAILED, limit=10)
    assert failed.attempts == MAX_ATTEMPTS
    assert notices.problem() == "1 notifications could not be sent in 24 h: json: refused"
    later(desk, 86_400 + 1)
    assert notices.problem() == ""
    assert sum(retry_after_s(attempt) for attempt in range(1, MAX_ATTEMPTS)) > 5 * 3_600 - 1_000


def test_one_address_that_refuses_does_not_keep_another_waiting(desk):
    desk.channels.ops = ("ops 1 (json)", "ops 2 (slack)")
    desk.channels.refused = {"ops 1 (json)"}
    notices = desk.notices()
    for number in range(3):
        desk.fail(f"a{number}", **{**SYSTEM, "fingerprint": f"f{number}"})
    later(desk, 11)
    notices.turn(yes)
    assert len(desk.subjects()) == 3
    assert desk.counted("failed") == 1


@pytest.mark.parametrize("step", ["count_news", "say", "sent"])
def test_a_kill_at_any_step_loses_nothing_and_repeats_one_sending_at_most(desk, monkeypatch, step):
    killed = desk.manager("a")
    desk.fail("a", **SYSTEM)
    later(desk, 11)

    def die(*_args, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(desk.ledger.outbox), step, die)
        with pytest.raises(KeyboardInterrupt):
            killed.once(Liveness(60))
    other = desk.manager("b")
    other.once(Liveness(60))
    assert len(desk.subjects()) == (1 if step == "sent" else 0), "the dead manager still holds the lease"
    assert desk.ledger.release("notify", "a", 1)
    other.once(Liveness(60))
    assert len(desk.subjects()) == (2 if step == "sent" else 1)
    assert [one.state for one in desk.ledger.outbox.page(limit=10)] == [Sending.SENT]


def test_of_two_managers_one_sends(desk):
    first, second = desk.manager("a"), desk.manager("b")
    desk.fail("a", **SYSTEM)
    later(desk, 11)
    for _ in range(3):
        first.once(Liveness(60))
        second.once(Liveness(60))
    assert len(desk.subjects()) == 1


def test_a_manager_that_lost_its_lease_stops_before_the_next_sending(desk):
    for number in range(2):
        desk.fail(f"a{number}", **{**SYSTEM, "fingerprint": f"f{number}"})
    later(desk, 11)
    beats = iter([True, True, True, True, False])  # two news, what is said, one sending
    desk.notices().turn(lambda: next(beats))
    assert len(desk.subjects()) == 1


def test_more_news_than_are_counted_at_once_are_counted_before_anything_is_said(desk, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    desk.fail("a", "b", "c", **SYSTEM)
    later(desk, 11)
    desk.notices().turn(yes)
    assert desk.subjects() == ["System error: 3 messages failed with NoSuchBucket"]


def test_a_hundred_notifications_that_one_address_refuses_do_not_hide_those_to_another(desk, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    desk.channels.ops = ("ops 1 (json)", "ops 2 (slack)")
    desk.channels.refused = {"ops 1 (json)"}
    refused = [ToSay(About.DIGEST, "ops 1 (json)", "s", "t")] * 5
    desk.ledger.outbox.say([*refused, ToSay(About.DIGEST, "ops 2 (slack)", "s", "t")], [], now_ms=desk.now_ms)
    notices = desk.notices()
    notices.turn(yes)
    assert [to for to, _ in desk.channels.sent] == ["ops 2 (slack)"]
    notices.turn(yes)
    assert desk.counted("failed") == 1, "who has just refused rests"


def test_what_nobody_can_be_told_waits_for_an_address(desk):
    desk.channels.ops = ()
    notices = desk.notices()
    told(desk, notices, "a", **SYSTEM)
    desk.channels.ops = ("ops 1 (json)",)
    later(desk, EVERY_S)
    notices.turn(yes)
    assert desk.subjects() == ["Digest: 1 failure in 1 group"]
