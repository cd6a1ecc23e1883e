"""What the screen Schedule shows: the soonest first, which retry it is, and by whom."""

import contextlib

import pytest

from recovery.ledger.rows import State
from recovery.ledger.selection import instant
from recovery.manager.console import schedule_view as module
from recovery.manager.console.schedule_view import schedule_view, whole
from recovery.manager.known_groups import IN_FLIGHT_MS
from recovery.manager.web.parameters import selected
from testing.ledgers import new_ledger
from testing.memory import NOW_MS
from tests.support.api import Api

HOUR_MS = 3_600_000


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


@pytest.fixture
def three(api):
    """Due since an hour; by somebody, in an hour and a half; by the rules, in three hours."""
    api.add("due", state=State.SCHEDULED, retry_at_ms=NOW_MS - HOUR_MS, retries=7)
    api.add("later", state=State.SCHEDULED, retry_at_ms=NOW_MS + 3 * HOUR_MS, object_key="契約.pdf")
    api.add("mine", state=State.SCHEDULED, retry_at_ms=NOW_MS + HOUR_MS * 3 // 2, retry_by="ana", retries=8)
    api.add("open")
    return api


def viewed(api, query="", after=None):
    return schedule_view(api.service, query, selected(whole(query)), after=after)


def test_the_soonest_is_first_and_says_which_retry_it_is_and_by_whom(three):
    view = viewed(three)
    assert [(one.row.identity, one.number, one.of, one.is_due) for one in view.items] == [
        ("due", 8, 8, True), ("mine", 9, None, False), ("later", 1, 8, False)
    ]  # fmt: skip
    assert (view.all.count, view.all.is_exact, view.next) == (3, True, None)
    assert (view.all.query, view.all.as_of_ms) == (f"state:scheduled until:{instant(NOW_MS - IN_FLIGHT_MS)}", NOW_MS)
    assert (view.facts.scheduled.due, view.chart.values[:4]) == (1, (0, 1, 1, 0))
    assert [(one.from_ms - NOW_MS, one.count) for one in view.hours[:2]] == [(0, 0), (HOUR_MS, 1)]
    assert len(view.hours) == 24


def test_a_query_narrows_the_list_and_the_plan_but_not_the_chart(three):
    view = viewed(three, "key:契約")
    assert ([one.row.identity for one in view.items], view.all.count) == (["later"], 1)
    assert view.all.query.startswith("key:契約 state:scheduled until:")
    assert view.chart.total == 2


def test_pages_follow_each_other(three, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 2)
    first = viewed(three)
    rest = viewed(three, after=first.next)
    assert [one.row.identity for one in (*first.items, *rest.items)] == ["due", "mine", "later"]
    assert rest.next is None
