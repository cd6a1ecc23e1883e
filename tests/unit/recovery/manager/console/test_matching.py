"""All that match: how many, as of when, and the filter that selects just these."""

import contextlib

import pytest

from recovery.ledger.selection import instant, parse_query
from recovery.manager.console import matching as module
from recovery.manager.console.matching import matching
from recovery.manager.known_groups import IN_FLIGHT_MS
from testing.ledgers import new_ledger
from testing.memory import NOW_MS
from tests.support.api import Api


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


def of(api, query=""):
    return matching(api.service, query, parse_query(query))


def test_a_plan_of_all_has_what_was_counted_and_nothing_that_came_later(api):
    api.add("a", stored=False, last_seen_ms=NOW_MS - 10 * IN_FLIGHT_MS)
    found = of(api, "key:pdf")
    assert (found.count, found.as_of_ms) == (api.ledger.count(parse_query("key:pdf")), NOW_MS)
    assert found.query == f"key:pdf until:{instant(NOW_MS - IN_FLIGHT_MS)}"
    api.add("b", stored=False, last_seen_ms=NOW_MS - 5)
    assert (of(api).count, of(api).query, of(api).as_of_ms) == (2, f"until:{instant(NOW_MS - 5)}", NOW_MS)
    api.add("c", stored=False, last_seen_ms=NOW_MS)
    assert api.ledger.count(parse_query(f"until:{instant(NOW_MS - 5)}")) == 2


def test_a_moment_that_the_reader_has_chosen_is_that_of_the_plan(api):
    api.add("a", stored=False, last_seen_ms=NOW_MS - 50)
    api.add("b", stored=False, last_seen_ms=NOW_MS)
    query = f"until:{instant(NOW_MS - 7)}"
    found = of(api, query)
    assert (found.query, found.as_of_ms, found.count) == (query, NOW_MS - 7, 1)


def test_more_than_are_counted_are_not_said_to_be_exact(api, monkeypatch):
    monkeypatch.setattr(module, "COUNTED_TO", 2)
    for name in "abc":
        api.add(name, stored=False)
    assert (of(api).count, of(api).is_exact) == (2, False)
