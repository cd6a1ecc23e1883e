"""The geometry of charts."""

import re

import pytest

from recovery.manager.console.charts import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, bars, last_known, line, summed


def test_a_bar_is_as_tall_as_its_value_on_the_axis():
    chart = bars([0, 5, 10, 0])
    assert chart.path == "M112.7 80v-36h57.2V80zM184.2 80v-72h57.2V80z"
    assert [(one.value, one.y) for one in chart.marks] == [(0, HEIGHT - BOTTOM), (5, 44), (10, TOP)]
    assert (chart.largest, chart.total, chart.is_empty, chart.is_line) == (10, 15, False, False)


@pytest.mark.parametrize(
    ("largest", "end"), [(0, 1), (1, 1), (2, 2), (3, 5), (9, 10), (10, 10), (11, 20), (501, 1_000), (4_812, 5_000)]
)
def test_the_axis_ends_at_a_round_number(largest, end):
    assert bars([largest]).marks[-1].value == end


def test_a_line_has_a_gap_where_nothing_is_known():
    chart = line([1, None, 1, 2])
    assert chart.path == "M34 44h71.5M177 44h71.5L248.5 8h71.5"
    assert (chart.largest, chart.is_empty, chart.is_line) == (2, False, True)
    assert line([None, None]).is_empty
    assert line([None, None]).path == bars([0, 0]).path == ""
    assert bars([]).values == ()


def test_two_weeks_by_the_hour_stay_within_the_picture_and_small():
    for chart in (bars(range(336)), line(range(336))):
        assert len(chart.path) < 12_000
        absolute = [tuple(map(float, one)) for one in re.findall(r"[ML]([\d.]+) ([\d.]+)", chart.path)]
        assert all(LEFT <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in absolute)


def test_steps_are_joined_from_the_end():
    assert summed([9, 1, 2, 3, 4], 2) == [3, 7]
    assert last_known([None, 1, None, None, None, 5], 2) == [1, None, 5]
