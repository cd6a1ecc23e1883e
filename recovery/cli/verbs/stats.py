"""`dlq stats`."""

import time

from rich.text import Text

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report
from recovery.cli.options import MaxSeen
from recovery.cli.verb import verb
from recovery.cli.verbs.groups import groups_table
from recovery.cli.view.tables import facts_table
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.dead_letters.grouping import By
from recovery.operations.find import Found
from recovery.operations.stats import Stats, Waiting
from recovery.operations.stats import stats as stats_of
from worker.core.base.errors import ExitCode
from worker.core.s3.waiting import MAX_COUNTED
from worker.core.s3.workers import WorkerRecord
from worker.layout import Sentence, show
from worker.terminal import iso, print_json, span, stdout

MAX_WORKERS = 50
"""The number of workers that the table shows."""


@verb(epilog="Examples: dlq stats | dlq stats --json | dlq stats --dlq files-dlq --region eu-central-1")
def stats(context: CommandContext, max_messages: MaxSeen = 10_000) -> ExitCode:
    """Show the depth, causes and age of the DLQ, who holds messages, what waits in the state bucket, and which workers run."""
    with context.claiming() as claims:
        found = find_and_report(context, claims, Filter(), at_most=max_messages)
    show_figures(context, figures_of(context, found))
    return ExitCode.OK


def figures_of(context: CommandContext, found: Found) -> Stats:
    """The figures of what was found; they are also sent to CloudWatch."""
    context.count("list")
    source = None if context.settings.sqs_queue_url is None else context.source()
    figures = stats_of(context.clients, found, source=source)
    context.send_metrics(figures.figures())
    return figures


def show_figures(context: CommandContext, figures: Stats, **more: object) -> None:
    """Print the figures; and as JSON, what more there is to tell."""
    if context.as_json:
        print_json({**more, **_as_json(figures)})
    else:
        _show(figures)


def _as_json(found: Stats) -> dict[str, object]:
    expiry_s = found.soonest_expiry_s
    return {
        "dlq": found.dlq,
        "visible": found.visible,
        "in_flight": found.in_flight,
        "stored": found.stored,
        "depth": found.depth,
        "stored_by_status": found.by_status,
        "coverage": {"seen": found.seen, "about": found.about},
        "oldest_at": None if found.oldest_s is None else iso(found.oldest_s),
        "soonest_expiry_at": None if expiry_s is None else iso(expiry_s),
        **{f"by_{by.value}": counts for by, counts in found.by.items()},
        "groups": [group.as_json() for group in found.groups],
        "more_groups": found.more_groups,
        "redrive_policy": found.redrive_policy,
        "holders": None if found.waiting is None or found.waiting.error else found.waiting.holders,
        "workers": None
        if found.waiting is None or found.waiting.error
        else list(map(_worker_json, found.waiting.workers)),
        "state_bucket": None if found.waiting is None else found.waiting.as_json(),
    }


def _show(found: Stats) -> None:
    out, now = stdout(), time.time()
    rows: list[tuple[str, object]] = [
        ("DLQ", found.dlq),
        (
            "depth",
            f"{found.depth:,}: {found.visible:,} visible, {found.in_flight:,} in flight, {found.stored:,} stored",
        ),
    ]
    if found.by_status:
        rows.append(("stored", _counts_text(found.by_status)))
    if found.oldest_s is not None:
        rows.append(("oldest", f"{span(now - found.oldest_s)} ago"))
    if found.soonest_expiry_s is not None:
        rows.append(("soonest expiry", f"in {span(found.soonest_expiry_s - now)}"))
    rows += [
        (f"by {by.value}", _counts_text(found.causes if by is By.ERROR else counts)) for by, counts in found.by.items()
    ]
    rows.append(("redrive policy", _policy_text(found.redrive_policy)))
    rows += [("", "no STATE_BUCKET")] if found.waiting is None else _waiting(found.waiting)
    show(out, facts_table(rows))
    if found.groups:
        show(out, Text(), groups_table(found.groups, By.FINGERPRINT))
    if found.more_groups:
        more = "1 more group" if found.more_groups == 1 else f"{found.more_groups:,} more groups"
        show(out, Sentence(f" and {more}: see `dlq groups`"))


def _waiting(waiting: Waiting) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        (name, f"{value:,} or more" if value == MAX_COUNTED else value) for name, value in waiting.as_json().items()
    ]
    for one in waiting.holders:
        since = f"since {one.get('since')}"
        rows.append(("held by", f"{one.get('command')} on {one.get('host')}, pid {one.get('pid')}, {since}"))
    rows += [("worker", _worker_text(one)) for one in waiting.workers[:MAX_WORKERS]]
    if len(waiting.workers) > MAX_WORKERS:
        rows.append(("", f"and {len(waiting.workers) - MAX_WORKERS} more workers; --json has them all"))
    return rows


def _worker_json(worker: WorkerRecord) -> dict[str, object]:
    if worker.problem:
        return {"name": worker.name, "problem": worker.problem}
    return {**worker.as_json(), "age_s": worker.age_ms // 1000, "alive": worker.is_alive, "lost": worker.is_lost}


def _worker_text(worker: WorkerRecord) -> str:
    """One line: what it does, and why it does nothing else."""
    if worker.problem:
        return f"{worker.name}: its record cannot be read: {worker.problem}"
    ago = f"{span(worker.age_ms / 1000)} ago"
    if worker.is_lost:
        return f"{worker.name}: LOST, was {worker.doing} {ago}; version {worker.version}"
    why = [
        *worker.held_back.values(),
        *worker.failing_calls,
        *(f"{name}: {why}" for name, why in worker.breakers.items()),
    ]
    about = f"{worker.in_flight} in flight, as of {ago}, version {worker.version}"
    return f"{worker.name}: {worker.doing}, {about}" + (f"; {'; '.join(why)}" if why else "")


def _counts_text(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in found.items()) or "none"


def _policy_text(policy: dict[str, object] | None) -> str:
    if policy is None:
        return "none"
    if "error" in policy:
        return str(policy["error"])
    here = "this DLQ" if policy["leads_here"] else f"ANOTHER queue, {policy.get('deadLetterTargetArn')}"
    return f"after {policy.get('maxReceiveCount')} receives, to {here}"
