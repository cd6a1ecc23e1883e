"""Sessions that people have ended, on both databases."""

import time

import pytest

from recovery.ledger import ended_sessions
from recovery.ledger.ended_sessions import EndedSessions
from recovery.ledger.ledger import Ledger


def test_an_ended_session_stays_ended_until_it_would_have_ended_by_itself(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = time.time_ns() // 1_000_000
    ended = ledger.ended_sessions
    ended.end("first", now_ms + 1_000)
    ended.end("first", now_ms + 2_000)
    ended.end("second", now_ms - 1_000)
    assert [ended.has(one) for one in ("first", "second", "third")] == [True, True, False]
    monkeypatch.setattr(ended_sessions, "KEPT_MS", 0)
    ended.end("third", now_ms + 1_000)
    assert [ended.has(one) for one in ("first", "second", "third")] == [True, False, True]


def test_all_managers_of_a_ledger_have_the_same_key(ledger: Ledger) -> None:
    ended, other = ledger.ended_sessions, EndedSessions(ledger._database)
    assert len(ended.key()) == 43
    assert ended.key() == other.key() == ended._new_key()
