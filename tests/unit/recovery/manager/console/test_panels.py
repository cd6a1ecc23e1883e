"""The charts of the overview, and the tables behind them."""

from recovery.ledger.intake import HOUR_MS
from recovery.ledger.rows import State
from recovery.ledger.statistics import HOURS, Stats, Totals
from recovery.manager.console.panels import Shows, panels
from recovery.manager.figures import IntakeFigures
from recovery.manager.figures_source import DlqReading
from recovery.manager.system_facts import Waiting

HOUR = 500_000
AT_MS = HOUR * HOUR_MS + 1_234


def test_every_chart_ends_with_the_present_hour():
    hourly = (*(1,) * (HOURS - 1), 7)
    stats = Stats(
        dict.fromkeys(State, 0), {}, {}, {}, {}, {}, None, None, hourly, Totals(9, 9, 0, 0, 0), 1,
    )  # fmt: skip
    waiting = Waiting(stats, DlqReading(2, 1), IntakeFigures(), None, (), (), {HOUR - 1: 4, HOUR - 30: 3})
    found = {one.shows: one for one in panels(waiting, AT_MS)}
    assert list(found) == list(Shows)
    assert [len(found[one].chart.values) for one in Shows] == [24, 24, 56, 56]
    assert [len(found[one].lines) for one in Shows] == [24, 24, 14, 14]
    day, depth, weeks, depths = (found[one] for one in Shows)
    assert [(one.begins_ms, one.value) for one in day.lines[:2]] == [(HOUR * HOUR_MS, 7), ((HOUR - 1) * HOUR_MS, 1)]
    assert [one.value for one in depth.lines[:3]] == [11, 4, None]
    assert (weeks.lines[0].begins_ms, weeks.lines[0].value) == ((HOUR - 23) * HOUR_MS, 30)
    assert sum(one.value or 0 for one in weeks.lines) == weeks.chart.total == HOURS + 6
    assert [one.value for one in depths.lines[:3]] == [11, 3, None]


def test_a_dead_letter_queue_that_does_not_answer_leaves_a_gap():
    stats = Stats(dict.fromkeys(State, 0), {}, {}, {}, {}, {}, None, None, (0,) * HOURS, Totals(9, 9, 0, 0, 0), 1)
    waiting = Waiting(stats, DlqReading(None, 0, "denied"), IntakeFigures(), None, (), (), {HOUR - 1: 4})
    assert waiting.depths_until(AT_MS)[-2:] == [4, None]
