"""How many waited, by the hour."""

from recovery.ledger.intake import HOUR_MS
from recovery.manager.depth_history import MARK, depths, note_depth

HOUR = 500_000


def test_the_last_number_of_an_hour_stays_for_two_weeks(ledger):
    assert depths(ledger) == {}
    for hour, depth in ((HOUR, 3), (HOUR, 5), (HOUR + 2, 7)):
        note_depth(ledger, depth, hour * HOUR_MS + 1)
    assert depths(ledger) == {HOUR: 5, HOUR + 2: 7}
    note_depth(ledger, 1, (HOUR + 14 * 24) * HOUR_MS)
    assert depths(ledger) == {HOUR + 2: 7, HOUR + 14 * 24: 1}


def test_what_is_no_history_is_none(ledger):
    ledger.set_mark(MARK, '{"a": 1}')
    assert depths(ledger) == {}
