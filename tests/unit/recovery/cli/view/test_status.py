"""What is said of a stored dead letter, in plain words."""

from dataclasses import replace

from recovery.cli.view.status import IN_DLQ, status, status_of
from recovery.operations.dead_letters.facts import Facts
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.stored_dead_letter import Hold, Retry, Sending, StoredDeadLetter, StoredState

NOW_S = 1_795_000_000.0
NOW_MS = int(NOW_S * 1000)
OPEN = StoredDeadLetter(DeadLetter("m", "{}", {}, {}, stored_key="k"), {"m": 1})
SENDING = Sending(NOW_MS - 60_000, "op@h", "run", "q", NOW_MS + 1)
SENT = replace(OPEN, state=StoredState.SENT, sent=SENDING)


def said(stored):
    return status(stored, now_s=NOW_S)


def test_each_state_has_its_words():
    assert said(OPEN) == "open"
    assert said(replace(OPEN, retry=Retry(1))) == "open, after 1 retry"
    assert said(replace(OPEN, retry=Retry(8))) == "open, after 8 retries"
    assert said(replace(OPEN, retry=Retry(0, NOW_MS + 125_000))) == "retry 1 in 2m 5s"
    assert said(replace(OPEN, retry=Retry(2, NOW_MS - 1))) == "retry 3 due"
    assert said(replace(OPEN, retry=Retry(8, NOW_MS + 60_000, "経理"))) == "retry 9 in 1m 0s, as 経理 wants"
    assert (
        said(replace(OPEN, hold=Hold("until Monday", "op@h"), retry=Retry(0, NOW_MS))) == "held by op@h: until Monday"
    )
    assert said(SENT) == "sent 1m 0s ago by op@h"
    late = replace(SENT, sent=replace(SENDING, unconfirmed_ms=NOW_MS))
    assert said(late) == "sent 1m 0s ago by op@h, unconfirmed: it may be sent again"


def test_the_owner_is_named_and_what_is_not_stored_is_in_the_queue():
    facts = Facts(OPEN.dead_letter, "s3-event", (), "")
    assert status_of(facts) == IN_DLQ
    assert status_of(replace(facts, stored=replace(OPEN, owner="経理"))) == "open; owner 経理"
