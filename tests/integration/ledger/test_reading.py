"""Every selection, order and page, compared with a plain loop over the same rows, in each of the ways that SQL goes."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from recovery.ledger import ledger as ledger_module
from recovery.ledger import search, statistics
from recovery.ledger.bigrams import folded
from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.group_counters import Name
from recovery.ledger.groups import SAMPLES, Group, GroupOrder, GroupSort
from recovery.ledger.ledger import Ledger
from recovery.ledger.pages import MAX_LIMIT, Sort
from recovery.ledger.plans import Wanted
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import WAITING, Row, State
from recovery.ledger.selection import Selection, instant, parse_query
from recovery.manager.figures import QUANTILES
from testing.ledgers import MINUTE_MS, NOW_MS, ages_of, arrival, row
from worker.core.base.classify import FailureKind

EVERY = tuple(State)
SELECTIONS = [
    Selection(),
    Selection(states=EVERY),
    Selection(states=(State.MISSING,)),
    Selection(states=()),
    Selection(kind=FailureKind.RECOVERABLE),
    Selection(error_type="timeout"),
    Selection(error_type="Absent"),
    Selection(bucket="b-1", type="s3-event", states=EVERY),
    Selection(group="aa"),
    Selection(group="-", states=EVERY),
    Selection(group="=aa11"),
    Selection(group="=aa"),
    Selection(group="=", states=EVERY),
    Selection(source_service="billing", source_queue="q-2", states=EVERY),
    Selection(owner="ana"),
    Selection(owner=""),
    Selection(held=True),
    Selection(held=False, kind=FailureKind.UNKNOWN),
    Selection(correlation_id="c-3", states=EVERY),
    Selection(sent_before_ms=NOW_MS + 40 * MINUTE_MS),
    Selection(sent_after_ms=NOW_MS + 40 * MINUTE_MS, sent_before_ms=NOW_MS + 60 * MINUTE_MS, bucket="b-0"),
    Selection(seen_until_ms=NOW_MS + 40 * MINUTE_MS),
    Selection(seen_until_ms=NOW_MS + 40 * MINUTE_MS, group="aa", states=EVERY),
    Selection(seen_until_ms=NOW_MS - 1, group="aa"),
    Selection(seen_until_ms=NOW_MS + 200 * MINUTE_MS, error_type="timeout", kind=FailureKind.UNKNOWN),
    Selection(seen_after_ms=NOW_MS + 40 * MINUTE_MS, group="aa"),
    Selection(seen_after_ms=NOW_MS + 40 * MINUTE_MS, seen_until_ms=NOW_MS + 60 * MINUTE_MS),
    Selection(seen_until_ms=NOW_MS + 60 * MINUTE_MS, sent_after_ms=NOW_MS + 30 * MINUTE_MS, held=True),
    Selection(seen_until_ms=NOW_MS + 60 * MINUTE_MS, key_contains="契約", bucket="b-1"),
    Selection(error_type=""),
    Selection(key_contains="契約"),
    Selection(key_contains="書"),
    Selection(key_contains="契約 2"),
    Selection(key_contains="Q&A"),
    Selection(key_contains="'\"%_"),
    Selection(key_contains="無い"),
    Selection(key_contains="a", kind=FailureKind.USER_ERROR, states=EVERY),
    Selection(text_contains="NO ANSWER"),
    Selection(text_contains="denied", key_contains="経理", error_type="Denied"),
    Selection(text_contains="b-1/契約", owner="ana"),
]
NOTHING_IS_RARE = {"RARE": -1, "RARE_IN_ARRAYS": -1}
WAYS: dict[str, dict[str, int]] = {
    "as chosen": {},
    "nothing is rare": NOTHING_IS_RARE,
    "by state": {**NOTHING_IS_RARE, "MAX_BRANCHES": 0},
    "by many branches": {**NOTHING_IS_RARE, "BRANCHES_AT_ONCE": 3},
}


def made(count: int) -> list[Row]:
    chance = random.Random(23)
    words = ["契約 2024", "契約書", "経理", "Q&A", "report", "'\"%_", "パーティー", "a"]
    causes = [("Timeout", "aa11"), ("Timeout", "aa22"), ("Denied", "bb11"), ("", ""), ("denied", "aa11")]
    rows = []
    for number in range(count):
        error_type, fingerprint = chance.choice(causes)
        bucket = f"b-{chance.randrange(3)}"
        key = None if chance.random() < 0.1 else f"{chance.choice(words)}/{chance.choice(words)}/{chance.randrange(20)}"
        seen_ms = NOW_MS + chance.randrange(100) * MINUTE_MS
        rows.append(
            row(
                f"id-{number:03d}", error_type=error_type, fingerprint=fingerprint, bucket=bucket, object_key=key,
                state=chance.choice([*WAITING, *State][:8]), kind=chance.choice(list(FailureKind)), about=f"{bucket}/{key}",
                message=chance.choice(["no answer", "Access denied: 経理"]), source_service=chance.choice(["s3", "billing"]),
                source_queue=f"q-{chance.randrange(3)}", owner=chance.choice([None, "ana", "ben"]),
                hold=chance.choice([None, None, "wait"]),
                retry_at_ms=NOW_MS + chance.randrange(40) * MINUTE_MS,
                correlation_id=f"c-{chance.randrange(9)}" if number % 2 else "",
                first_seen_ms=seen_ms, last_seen_ms=seen_ms + chance.randrange(3), sent_ms=seen_ms + chance.randrange(-2, 3),
                type=chance.choice(["s3-event", "order"]),
            )
        )  # fmt: skip
    return rows


def of_group(group: str, fingerprint: str) -> bool:
    if group == "-" or group.startswith("="):
        return fingerprint == group.lstrip("=-")
    return fingerprint.startswith(group)


def wants(selection: Selection, one: Row) -> bool:
    exact = ("kind", "type", "bucket", "source_service", "source_queue", "correlation_id")
    group = selection.group
    return (
        one.state in selection.states
        and all(getattr(selection, name) in {None, getattr(one, name)} for name in exact)
        and (selection.error_type is None or selection.error_type.lower() == one.error_type.lower())
        and (group is None or of_group(group, one.fingerprint))
        and (selection.owner is None or selection.owner == (one.owner or ""))
        and (selection.held is None or selection.held == (one.hold is not None))
        and (selection.sent_before_ms is None or one.sent_ms <= selection.sent_before_ms)
        and (selection.sent_after_ms is None or one.sent_ms > selection.sent_after_ms)
        and (selection.seen_until_ms is None or one.last_seen_ms <= selection.seen_until_ms)
        and (selection.seen_after_ms is None or one.last_seen_ms > selection.seen_after_ms)
        and (selection.key_contains or "") in folded(one.object_key or "")
        and (selection.text_contains or "") in folded(f"{one.message}\n{one.about}")
    )


def placed(rows: list[Row], sort: Sort) -> list[Row]:
    """Those that have a place in an order."""
    return [one for one in rows if sort is not Sort.RETRY_AT or one.state is State.SCHEDULED]


def place(one: Row, sort: Sort) -> tuple[str | int, ...]:
    match sort:
        case Sort.LAST_SEEN:
            return one.last_seen_ms, one.id
        case Sort.FIRST_SEEN:
            return one.first_seen_ms, one.id
        case Sort.SENT:
            return one.sent_ms, one.id
        case Sort.KEY:
            return one.object_key or "", one.id
        case Sort.ERROR:
            return one.error_type, one.last_seen_ms, one.id
        case Sort.RETRY_AT:
            return one.retry_at_ms or 0, one.id


@dataclass(frozen=True)
class Filled:
    ledger: Ledger
    rows: list[Row]

    def wanted(self, selection: Selection) -> list[Row]:
        return [one for one in self.rows if wants(selection, one)]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in WAYS[request.param].items():
        monkeypatch.setattr(search, name, value)
    return str(request.param)


@pytest.fixture
def filled(ledger: Ledger) -> Filled:
    ledger.restore_rows(made(160))
    return Filled(ledger, list(ledger.by_identity(f"id-{number:03d}" for number in range(160)).values()))


@pytest.mark.usefixtures("way")
def test_every_selection_is_read_as_a_loop_would(filled: Filled) -> None:
    for selection in SELECTIONS:
        wanted = filled.wanted(selection)
        assert {one.identity for one in filled.ledger.rows(selection)} == {one.identity for one in wanted}, selection
        assert filled.ledger.count(selection) == len(wanted), selection
        assert filled.ledger.count(selection, at_most=5) == min(len(wanted), 6), selection
        for sort in Sort:
            found = filled.ledger.page(selection, sort=sort, limit=20)
            mine = placed(wanted, sort)
            expected = sorted(mine, key=lambda one, sort=sort: place(one, sort), reverse=True)  # type: ignore[misc]
            assert [one.identity for one in found.rows] == [one.identity for one in expected[:20]], (selection, sort)
            assert (found.next is None) == (len(mine) <= 20)


def test_what_joined_since_is_counted_or_what_was_there_before(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNTED_TO", 1)
    for selection in SELECTIONS:
        wanted = len(filled.wanted(selection))
        assert filled.ledger.count(selection, at_most=10_000) == wanted, selection
        assert filled.ledger.count(selection, at_most=5) == min(wanted, 6), selection


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("descending", [False, True])
def test_pages_after_each_other_are_the_whole_in_order(filled: Filled, descending: bool) -> None:
    for selection in (
        Selection(states=EVERY),
        Selection(kind=FailureKind.UNKNOWN, states=EVERY),
        Selection(key_contains="書"),
    ):
        for sort in Sort:
            found, after = [], None
            while True:
                page = filled.ledger.page(selection, sort=sort, descending=descending, after=after, limit=29)
                found += page.rows
                after = page.next
                if after is None:
                    break
            mine = placed(filled.wanted(selection), sort)
            expected = sorted(mine, key=lambda one, sort=sort: place(one, sort), reverse=descending)  # type: ignore[misc]
            assert found == expected, (selection, sort)


@pytest.mark.usefixtures("way")
def test_what_was_there_until_a_moment_and_what_joined_since_are_all_and_nothing_twice(filled: Filled) -> None:
    moments = {one.last_seen_ms for one in filled.rows}
    for at_ms in sorted(moments)[::9]:
        for of_all in (Selection(), Selection(group="aa", error_type="timeout", states=EVERY)):
            before, since = replace(of_all, seen_until_ms=at_ms), replace(of_all, seen_after_ms=at_ms)
            assert filled.ledger.count(before) + filled.ledger.count(since) == filled.ledger.count(of_all)
            read = parse_query(f"until:{instant(at_ms)} state:any", now_ms=0)
            assert {one.identity for one in filled.ledger.rows(read)} == {
                one.identity for one in filled.rows if one.last_seen_ms <= at_ms
            }


def test_a_plan_until_a_moment_leaves_out_what_has_joined_since(ledger: Ledger) -> None:
    ledger.take_in([arrival("a"), arrival("b", last_seen_ms=NOW_MS + 5)])
    until = Selection(seen_until_ms=NOW_MS + 5)
    ledger.take_in([arrival("c", last_seen_ms=NOW_MS + 6), arrival("a", "again", last_seen_ms=NOW_MS + 7)])
    assert ledger.plans.make(Wanted(Verb.REDRIVE, "ana", selection=until)).count == 1
    assert [one.identity for one in ledger.page(until).rows] == ["b"]


def test_an_offset_leaves_out_what_comes_first(filled: Filled) -> None:
    whole = filled.ledger.page(Selection(), limit=100).rows
    assert filled.ledger.page(Selection(), offset=30, limit=20).rows == whole[30:50]
    assert filled.ledger.page(Selection(), offset=9_999).rows == []


def test_a_row_that_goes_in_between_hides_none(filled: Filled) -> None:
    first = filled.ledger.page(Selection(), limit=10)
    rest = filled.ledger.page(Selection(), after=first.next, limit=10).rows
    for one in first.rows[5:]:
        filled.ledger.change(one.identity, version=None, by="ana", action="sent", state=State.SENT)
    assert filled.ledger.page(Selection(), after=first.next, limit=10).rows == rest


@pytest.mark.parametrize("cursor", ["", "x", "!", "é", "bm90IG91cnM", "W10"])
def test_a_cursor_that_is_not_ours_is_refused(filled: Filled, cursor: str) -> None:
    with pytest.raises(AskedWronglyError, match="a cursor that came with the page before"):
        filled.ledger.page(Selection(), after=cursor)


def test_a_cursor_that_was_changed_or_is_of_another_order_is_refused(filled: Filled) -> None:
    cursor = filled.ledger.page(Selection(), limit=10).next
    assert cursor is not None
    for changed in (cursor[:-2], cursor[:20] + ("A" if cursor[20] != "A" else "B") + cursor[21:]):
        with pytest.raises(AskedWronglyError):
            filled.ledger.page(Selection(), after=changed)
    with pytest.raises(AskedWronglyError):
        filled.ledger.page(Selection(), after=cursor, sort=Sort.KEY)
    with pytest.raises(AskedWronglyError):
        filled.ledger.page(Selection(), after=cursor, descending=False)


@pytest.mark.parametrize(
    ("limit", "offset", "field"),
    [(0, 0, "limit"), (MAX_LIMIT + 1, 0, "limit"), (1, -1, "offset"), (1, 10**6, "offset")],
)
def test_a_limit_that_cannot_be_is_named(ledger: Ledger, limit: int, offset: int, field: str) -> None:
    with pytest.raises(AskedWronglyError) as raised:
        ledger.page(Selection(), limit=limit, offset=offset)
    assert raised.value.field == field


ORDERS = [GroupOrder(sort, is_down) for sort in GroupSort for is_down in (True, False)]


def _place(order: GroupOrder) -> Callable[[Group], tuple[int, Name]]:
    def place(one: Group) -> tuple[int, Name]:
        values = {
            GroupSort.COUNT: one.count,
            GroupSort.FIRST_SEEN: one.first_seen_ms,
            GroupSort.LAST_SEEN: one.last_seen_ms,
        }
        return -values[order.sort] if order.descending else values[order.sort], one.name

    return place


@pytest.mark.usefixtures("way")
def test_groups_are_counted_as_a_loop_would(filled: Filled) -> None:
    for selection in SELECTIONS:
        wanted = filled.wanted(selection)
        members = defaultdict(list)
        for one in wanted:
            members[one.fingerprint, one.error_type, one.kind].append(one)
        found = filled.ledger.groups(selection)
        assert {(g.fingerprint, g.error_type, g.kind): g.count for g in found} == {
            n: len(of) for n, of in members.items()
        }
        assert [g.count for g in found] == sorted((g.count for g in found), reverse=True)
        for group in found:
            of = members[group.fingerprint, group.error_type, group.kind]
            assert group.first_seen_ms == min(one.first_seen_ms for one in of)
            assert group.last_seen_ms == max(one.last_seen_ms for one in of)
            assert len(group.samples) == len(set(group.samples))
            assert 1 <= len(group.samples) <= SAMPLES
            assert set(group.samples) <= {one.identity for one in of}
            assert group.message in {one.message for one in of}
        assert [g.count for g in filled.ledger.groups(selection, limit=2)] == [g.count for g in found[:2]]
        for order in ORDERS:
            ordered = filled.ledger.groups(selection, limit=3, order=order)
            assert [g.name for g in ordered] == [g.name for g in sorted(found, key=_place(order))[:3]]


def test_statistics_are_those_of_a_loop(filled: Filled) -> None:
    stats = filled.ledger.stats()
    waiting = filled.wanted(Selection())
    assert stats.by_state == {state: sum(one.state is state for one in filled.rows) for state in State}
    assert stats.by_kind == Counter(one.kind.value for one in waiting)
    assert stats.by_error_type == Counter(one.error_type for one in waiting)
    assert stats.by_service == Counter(one.source_service for one in waiting)
    assert stats.by_queue == Counter(one.source_queue for one in waiting)
    assert stats.oldest_sent_ms == min(one.sent_ms for one in waiting)
    assert stats.newest_sent_ms == max(one.sent_ms for one in waiting)
    assert list(stats.by_error_type.values()) == sorted(stats.by_error_type.values(), reverse=True)


def test_the_backlog_is_that_of_a_loop(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = max(one.last_seen_ms for one in filled.rows) + MINUTE_MS
    monkeypatch.setattr(ledger_module, "_now_ms", lambda: now_ms)
    backlog = filled.ledger.backlog(QUANTILES)
    ages = ages_of((now_ms - one.sent_ms) / 1000 for one in filled.wanted(Selection()) if one.sent_ms)
    assert (backlog.ages.count, backlog.ages.quantiles) == (ages.count, ages.quantiles)
    assert backlog.ages.sum_s == pytest.approx(ages.sum_s)
    unhandled = [one for one in filled.rows if one.state is State.OPEN and one.owner is None and one.hold is None]
    assert backlog.oldest_unhandled_ms == min(one.sent_ms for one in unhandled)
    assert backlog.seen_last_hour == sum(one.last_seen_ms >= now_ms - 60 * MINUTE_MS for one in filled.rows) > 0


def test_what_has_no_time_has_no_age_and_is_not_the_oldest(ledger: Ledger) -> None:
    ledger.restore_rows(
        [row("a", sent_ms=0), row("owned", sent_ms=5, owner="ana"), row("held", sent_ms=6, hold="wait")]
    )
    backlog = ledger.backlog(QUANTILES)
    assert (backlog.ages.count, backlog.oldest_unhandled_ms) == (2, None)


def test_an_empty_ledger_has_nothing_of_anything(ledger: Ledger) -> None:
    stats = ledger.stats()
    assert (stats.waiting, stats.oldest_sent_ms, stats.average_retries, stats.last_24_h) == (0, None, 0.0, 0)
    assert ledger.page(Selection()).rows == []
    assert list(ledger.rows(Selection())) == []
    assert ledger.groups(Selection()) == []
    assert ledger.get("x") is None
    assert ledger.events("x") == []


def test_what_is_due_is_scheduled_not_held_and_in_order(ledger: Ledger) -> None:
    times = {"b": 200, "a": 100, "later": 301, "never": None}
    scheduled = [row(name, state=State.SCHEDULED, retry_at_ms=at_ms) for name, at_ms in times.items()]
    held = row("held", state=State.SCHEDULED, retry_at_ms=100, hold="wait")
    ledger.restore_rows([*scheduled, held, row("open", retry_at_ms=100)])
    assert [one.identity for one in ledger.due(300)] == ["a", "b"]
    assert [one.identity for one in ledger.due(300, limit=1)] == ["a"]


def test_what_is_scheduled_is_counted_by_the_hour_without_what_is_held(ledger: Ledger) -> None:
    hour_ms = 3_600_000
    times = (
        NOW_MS - 1,
        NOW_MS,
        NOW_MS + 1,
        NOW_MS + hour_ms,
        NOW_MS + hour_ms + 1,
        NOW_MS + 24 * hour_ms,
        NOW_MS + 25 * hour_ms,
    )
    rows = [row(f"s{place}", state=State.SCHEDULED, retry_at_ms=at_ms) for place, at_ms in enumerate(times)]
    held = [
        row(f"h{place}", state=State.SCHEDULED, retry_at_ms=at_ms, hold="wait") for place, at_ms in enumerate(times)
    ]
    assert ledger.scheduled(NOW_MS).total == 0
    ledger.restore_rows([*rows, *held, row("open"), row("sent", state=State.SENT, retry_at_ms=NOW_MS)])
    found = ledger.scheduled(NOW_MS)
    assert (found.due, found.later, found.held, found.total, found.next_ms) == (2, 1, 7, 7, NOW_MS + 1)
    assert found.hours == (2, 1, *[0] * 21, 1)


def test_a_query_of_one_line_selects(filled: Filled) -> None:
    found = filled.ledger.page(parse_query('key:"契約 2" state:any hold:yes'), limit=100).rows
    assert found
    assert all("契約 2" in (one.object_key or "") and one.hold for one in found)


def test_what_changes_while_rows_are_streamed_is_not_seen(filled: Filled) -> None:
    stream = filled.ledger.rows(Selection())
    first = next(stream)
    names = [one.identity for one in filled.wanted(Selection())]
    for name in names[:20]:
        filled.ledger.change(name, version=None, by="ana", action="sent", state=State.SENT)
    assert {first.identity, *(one.identity for one in stream)} == set(names)
    assert filled.ledger.count(Selection()) == len(names) - 20
