"""What a report counts, and that its size is limited."""

import io
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from recovery.cli.recovery_report import WORDING
from recovery.cli.view.report import report_table
from recovery.operations.engine import Disposition
from recovery.operations.recovering.request import IN_FLIGHT_ELSEWHERE, NOT_SELECTED, RECOVERY
from recovery.operations.replay import REPLAY
from recovery.operations.report import MAX_CAUSES, MAX_SAMPLES, Report
from worker.core.base.errors import DependencyError
from worker.core.base.reasons import sentence_of
from worker.core.indexing.replay import Result
from worker.layout import show


def report(kind=REPLAY):
    return Report(kind, dry_run=False, about={})


def test_the_number_of_reasons_is_limited():
    found = report()
    for number in range(10 * MAX_CAUSES):
        found.add(Result.KEPT, sample=f"{number}", reason=f"{number}: no", error_type=f"{number}")
    causes = found.causes()
    assert len(causes) == MAX_CAUSES + 1
    assert (causes[0].reason, causes[0].count, len(causes[0].samples)) == ("other reasons", 9 * MAX_CAUSES, MAX_SAMPLES)


def test_only_results_that_require_an_explanation_have_causes():
    found = report()
    found.add(Result.REPLAYED, sample="a", reason="fine")
    found.add(Result.PARKED, sample="b", reason="mapper: no", error_type="mapper")
    figures = found.as_json()
    assert (figures["handled"], figures["replayed"], figures["parked"]) == (2, 1, 1)
    assert figures["causes"] == [
        {"result": "parked", "error_type": "mapper", "count": 1, "reason": "mapper: no", "names": ["b"]}
    ]


def test_a_report_shows_the_results_that_occurred_and_one_line_where_none_did():
    found = report(RECOVERY)
    assert shown(found) == "0 handled in 0.0 s: no messages"
    found.add(Disposition.RECOVERED, sample="m1")
    found.also[NOT_SELECTED] += 1
    assert [line.split()[:2] for line in shown(found).splitlines()] == [
        ["messages", "result"], ["1", "recovered"], ["1", "not"], ["1", "handled"]
    ]  # fmt: skip


def shown(found):
    out = io.StringIO()
    show(Console(file=out, width=200), report_table(found, WORDING))
    return out.getvalue().strip()


def test_messages_in_flight_elsewhere_leave_a_run_unfinished_but_unselected_ones_do_not():
    found = report(RECOVERY)
    found.also[NOT_SELECTED] += 1
    assert not found.is_unfinished
    found.also[IN_FLIGHT_ELSEWHERE] += 1
    assert found.is_unfinished


def test_the_report_of_an_aborted_run_contains_the_error():
    found = report()
    found.failure = DependencyError("gone")
    assert found.as_json()["stopped_by"] == "gone"


def test_no_count_is_lost_between_threads():
    found = report()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: found.add(Result.KEPT, sample=str(number)), range(4_000)))
    assert (found.handled, found.causes()[0].count) == (4_000, 4_000)


def test_each_cause_has_a_count_of_its_own_and_the_reason_that_all_of_it_share():
    found = report(RECOVERY)
    said = {"not-json": 3, "unknown-event": 2}
    for code, count in said.items():
        for number in range(count):
            found.add(
                Disposition.ARCHIVED, sample=f"{code}{number}", reason=f"{code} number {number}",
                error_type="MalformedEventError", cause=sentence_of(code),
            )  # fmt: skip
    assert [(cause.count, cause.reason) for cause in found.causes()] == [
        (3, "the body is not JSON"), (2, "the body is a JSON object, but not an event of a known kind"),
    ]  # fmt: skip
