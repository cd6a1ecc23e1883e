"""What the screens of groups say: links, what joined since, what may be done by whom."""

import contextlib
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from starlette.exceptions import HTTPException

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import State
from recovery.ledger.selection import Selection, instant
from recovery.manager.console import groups_view as module
from recovery.manager.console.filters import FilterBox
from recovery.manager.console.groups_view import found_groups, group_view, groups_view, moment_ms, path_of
from recovery.manager.console.sparklines import sparkline
from recovery.manager.known_groups import fingerprint_path
from recovery.manager.roles import Principal, Role
from recovery.manager.web.parameters import EXAMPLE_ID
from testing.ledgers import NOW_MS, new_ledger
from tests.support.api import Api

OPERATOR, READER = Principal("ana", Role.OPERATOR), Principal("ben", Role.READER)
WAITING = (Verb.REDRIVE, Verb.RECOVER, Verb.SCHEDULE, Verb.ABANDON, Verb.HOLD, Verb.NOTE, Verb.ASSIGN)


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


@pytest.fixture
def filled(api):
    api.fill()
    return api


def one(api, fingerprint="5b1f2c7d90aa", *, as_of_ms=2**41, who=OPERATOR):
    [known] = found_groups(api.service, fingerprint, None, None)
    return group_view(api.service, who, known, instant(as_of_ms))


def test_the_list_is_in_pages_and_each_group_has_its_address(api, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 2)
    for place, name in enumerate("abc"):
        for number in range(3 - place):
            api.add(f"{name}{number}", stored=False, fingerprint=f"f{name}", error_type=f'{name} "&/%?" 契約')
    box = FilterBox("/console/groups", "")
    first, second = (groups_view(api.service, box, Selection(), number) for number in (1, 2))
    assert [one.known.group.fingerprint for one in (*first.entries, *second.entries)] == ["fa", "fb", "fc"]
    assert (first.has_more, second.has_more) == (True, False)
    path = urlsplit(first.entries[0].path)
    assert path.path == "/console/groups/fa"
    asked = parse_qs(path.query)
    assert (asked["kind"], asked["error_type"]) == (["RECOVERABLE"], ['a "&/%?" 契約'])
    assert moment_ms(asked["as_of"][0]) > NOW_MS


@pytest.mark.parametrize(
    ("fingerprint", "path"),
    [
        ("ab/ &", "/console/groups/ab%2F%20%26"), ("", "/console/groups/-"), ("-", "/console/groups/-?fingerprint=-"),
        ("..", "/console/groups/-?fingerprint=.."),
    ],
)  # fmt: skip
def test_a_list_leads_to_the_group_by_its_fingerprint_whatever_that_is(fingerprint, path):
    assert fingerprint_path(fingerprint) == path


def test_a_group_without_a_fingerprint_has_an_address(api):
    api.add("a", stored=False, fingerprint="", error_type="")
    api.add("b", stored=False, fingerprint="a/b ?", error_type="E")
    for identity, place, fingerprint in (("a", "-", ""), ("b", "a/b ?", "a/b ?")):
        [known] = found_groups(api.service, fingerprint, None, None)
        assert known.group.samples == (identity,)
        path = urlsplit(path_of(known.group)).path
        assert unquote(path.removeprefix("/console/groups/")) == place


def test_what_has_joined_since_is_told_and_is_not_in_the_filter_of_the_actions(filled):
    found = one(filled, as_of_ms=NOW_MS)
    assert (found.at.count, found.at.joined, [row.identity for row in found.samples]) == (1, 1, [EXAMPLE_ID])
    assert (
        found.at.query == "group:=5b1f2c7d90aa error:=ReadTimeoutError kind:RECOVERABLE until:2026-09-21T14:13:20.000Z"
    )
    assert found.joined_query.endswith(" since:2026-09-21T14:13:20.000Z")
    assert filled.get(f"/api/v1/messages?q={found.joined_query}")["count"] == 1
    assert "as_of" in found.path
    assert "as_of" not in found.fresh_path


def test_what_may_be_done_depends_on_the_group_and_on_who_asks(api):
    api.add("a", stored=False)
    assert one(api).verbs == WAITING
    assert one(api, who=READER).verbs == ()
    api.ledger.change("a", version=None, by="ana", action="hold", hold="legal")
    assert one(api).verbs == (Verb.RELEASE, Verb.NOTE, Verb.ASSIGN)
    api.add("b", stored=False, type="order")
    found = one(api).verbs
    assert found[0] is Verb.REDRIVE
    assert Verb.RELEASE in found
    api.add("c", stored=False, fingerprint="other", type="order")
    assert Verb.RECOVER not in one(api, "other").verbs


def test_what_was_sent_has_still_a_page_without_actions(api):
    api.add("a", stored=False)
    api.ledger.change("a", version=None, by="ana", action="sent", state=State.SENT, sent_at_ms=NOW_MS, sent_run="r")
    found = one(api)
    assert (found.waits, found.at.count, found.verbs, found.samples) == (False, 0, (), [])
    assert found.at.known.facts.redrive is not None


def test_an_address_of_nothing_or_of_no_moment_is_refused(filled):
    with pytest.raises(HTTPException) as raised:
        found_groups(filled.service, "unknown", None, None)
    assert raised.value.status_code == 404
    for wrong in ("yesterday", "", '"', "2026-11-01T09:30:00", 'x" state:any'):
        with pytest.raises(AskedWronglyError, match=r"as_of: .*a moment in UTC"):
            moment_ms(wrong)


def test_a_sparkline_has_a_bar_for_each_half_day_and_says_its_numbers():
    drawn = sparkline((0,) * 50 + (1, 1, 0, 0, 40, 60))
    assert (drawn.width, drawn.total, drawn.last_day) == (111, 102, 100)
    assert drawn.path == "M100 24v-1h3v1zM108 24v-24h3v24z"
    assert sparkline((0,) * 56).path == ""
