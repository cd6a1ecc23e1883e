"""Shows a status on one screen, or as JSON, and returns its exit code."""

import os
import sys
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from worker.core.base.errors import ExitCode
from worker.core.base.text import one_line, printable
from worker.core.clients import connect
from worker.core.s3.state import HELD_PREFIX, PARKED_PREFIX, RETRY_PREFIX
from worker.core.s3.waiting import Tally
from worker.core.s3.workers import WorkerRecord
from worker.status.facts import Status, Unknown, read_status
from worker.status.findings import (
    breaker_findings,
    clock_text,
    depth_text,
    findings,
    lag_s,
    pause_finding,
    silent,
    summary,
)  # fmt: skip
from worker.terminal import iso, load_for_command, print_json, span, stdout

MAX_WORKERS = 10
"""The number of workers on the screen, those first with which something is wrong."""
_WELL, _WRONG, _UNKNOWN, _NOTE = ("✓", "green"), ("✗", "red"), ("?", "yellow"), (" ", "")
_FIGURES = {"done": "done", "failed": "failed", "release": "released", "stored_for_retry": "stored for retry"}
Row = tuple[str, str, str]
"""The part in which a fault would show, the label, and the text."""


def show_status(*, as_json: bool) -> ExitCode:
    """Read and print the status. Returns OK, NOT_FOUND if something is wrong, DEPENDENCY if a part could not be read.

    Raises ConfigError or DependencyError if there are no credentials.
    """
    settings = load_for_command()
    clients = connect(settings)
    clients.aws.credentials()  # without any, no part can be read, and one sentence says so
    status = read_status(settings, clients)
    if as_json:
        print_json(status_json(status))
    else:
        out = stdout()
        out.print(Text(printable(summary(status)), _style(status)))
        out.print(status_table(status))
    code = exit_code(status)
    if any(part.is_late for part in status.unknown.values()):
        sys.stdout.flush()
        os._exit(code)  # a normal exit would wait for the threads of that part
    return code


def exit_code(status: Status) -> ExitCode:
    """The exit code for what was found."""
    if status.unknown:
        return ExitCode.DEPENDENCY
    return ExitCode.NOT_FOUND if findings(status) else ExitCode.OK


def status_json(status: Status) -> dict[str, object]:
    """Everything, by name; a part that could not be read is `{"error": why}`."""
    until = status.lets_fail_until_ms
    return {
        "summary": summary(status),
        "at": iso(status.at_ms / 1000),
        "wrong": [{"part": one.part, "text": one.text, "why": one.why} for one in findings(status)],
        "unknown": sorted(status.unknown),
        **{name: _json(getattr(status, name)) for name in ("queue", "dlq", "dead_letters", "retry_index")},
        "workers": _json(status.workers),
        "pause": _json(status.pause),
        "brake_off_until": iso(until / 1000) if isinstance(until, int) and status.is_brake_off else None,
        "breakers": [one.full for one in breaker_findings(status)],
        "lag_s": lag_s(status),
        "budgets": _json(status.budgets),
        "reindex": _json(status.reindex),
    }


def _json(part: object) -> object:
    match part:
        case Unknown():
            return {"error": part.why}
        case list():
            return [_worker_json(one) if isinstance(one, WorkerRecord) else one for one in part]
        case dict():
            return {name: _json(value) for name, value in part.items()}
        case Tally():
            return part.as_json()
    return part


def _worker_json(worker: WorkerRecord) -> dict[str, object]:
    if worker.problem:
        return {"name": worker.name, "problem": worker.problem}
    return {**worker.as_json(), "age_s": worker.age_ms // 1000, "alive": worker.is_alive, "lost": worker.is_lost}


def status_table(status: Status) -> Table:
    """A line for each part, with a mark: well, wrong, not known."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    wrong = {one.part for one in findings(status)}
    if isinstance(status.dead_letters, Tally) and status.dead_letters.count:
        wrong.add("dead_letters")  # one finding counts those of the DLQ and these together
    for part, label, text in _rows(status):
        unknown = status.unknown.get(part)
        mark, style = _UNKNOWN if unknown else _WRONG if part in wrong else _WELL if part else _NOTE
        table.add_row(Text(mark, style), label, Text(f"not known: {unknown.why}" if unknown else printable(text)))
    return table


def _style(status: Status) -> str:
    return "bold red" if findings(status) else "bold yellow" if status.unknown else "bold green"


def _rows(status: Status) -> Iterator[Row]:
    yield "queue", "queue", "" if isinstance(status.queue, Unknown) else depth_text(status.queue)
    lag = lag_s(status)
    yield (
        "lag" if lag is not None else "",
        "lag",
        "not known: no worker says so" if lag is None else (f"those received last had waited for up to {span(lag)}"),
    )
    yield "dlq", "DLQ", "" if isinstance(status.dlq, Unknown) else depth_text(status.dlq)
    stored, retry = status.dead_letters, status.retry_index
    yield (
        "dead_letters",
        "dead-letters/",
        "" if isinstance(stored, Unknown) else (f"{stored.text} stored{_since(stored.since)}"),
    )
    yield (
        "retry_index",
        RETRY_PREFIX,
        ""
        if isinstance(retry, Unknown)
        else (
            f"{retry[RETRY_PREFIX].text} waiting for the index{_since(retry[RETRY_PREFIX].since)}, "
            f"{retry[PARKED_PREFIX].text} parked, {retry[HELD_PREFIX].text} held for a budget"
        ),
    )
    paused = pause_finding(status)
    yield "pause", "pause", paused.full if paused else "not paused"
    if isinstance(status.lets_fail_until_ms, Unknown):
        yield "lets_fail_until_ms", "brake", ""
    elif status.is_brake_off:
        until = clock_text(status.lets_fail_until_ms, status.at_ms)
        yield "", "brake", f"off until {until}: whatever fails goes to the DLQ (`resume --let-fail`)"
    yield from _breaker_rows(status)
    yield from _worker_rows(status)
    if isinstance(status.budgets, Unknown) or status.budgets:
        yield (
            "budgets",
            "budgets",
            ""
            if isinstance(status.budgets, Unknown)
            else "; ".join(
                f"{one_line(one.name)} {one.used:,.10g} of {one.limit:,.10g} used" for one in status.budgets
            ),
        )
    if status.reindex is not None:
        yield ("reindex" if isinstance(status.reindex, Unknown) else ""), "reindex", _reindex_text(status)


def _breaker_rows(status: Status) -> Iterator[Row]:
    if not status.alive:
        yield "", "breakers", "not known: no worker says so"
        return
    texts = [one.full for one in breaker_findings(status)] or ["closed: every worker reaches the index and its buckets"]
    for number, text in enumerate(texts):
        yield "breakers", "" if number else "breakers", text


def _worker_rows(status: Status) -> Iterator[Row]:
    if isinstance(status.workers, Unknown):
        yield "workers", "workers", ""
        return
    lost = silent(status)
    yield "workers", "workers", f"{len(status.alive):,} alive, {len(lost):,} silent"
    shown = sorted(status.workers, key=lambda one: (not (one.problem or one in lost), not _troubles(one)))
    for one in shown[:MAX_WORKERS]:
        yield "", "", f"{one.name}: {_worker_text(one, status)}"
    if len(shown) > MAX_WORKERS:
        yield "", "", f"and {len(shown) - MAX_WORKERS:,} more; --json has them all"


def _worker_text(worker: WorkerRecord, status: Status) -> str:
    if worker.problem:
        return f"its record cannot be read: {worker.problem}"
    if worker.is_lost:
        return f"silent since {clock_text(worker.written_at_ms, status.at_ms)}, was {worker.doing}"
    since = span((status.at_ms - worker.started_at_ms) / 1000) if worker.started_at_ms else "?"
    counts = [f"{worker.figures[name]:,.0f} {said}" for name, said in _FIGURES.items() if name in worker.figures]
    done = f"{', '.join(counts)} in {since}" if counts else f"started {since} ago"
    as_of = f"as of {span(worker.age_ms / 1000)} ago"
    return f"{worker.doing}, {worker.in_flight:,} in flight; {done}; version {worker.version}; {as_of}"


def _troubles(worker: WorkerRecord) -> bool:
    return bool(worker.breakers or worker.held_back or worker.failing_calls or worker.unhealthy_threads)


def _reindex_text(status: Status) -> str:
    if status.reindex is None or isinstance(status.reindex, Unknown):
        return ""
    one = status.reindex
    return one_line(
        f"{one.phase}, by {one.by} since {clock_text(one.begun_ms, status.at_ms)}: see `reindex_index --status`"
    )


def _since(day: str) -> str:
    return f" (the oldest of {day})" if day else ""
