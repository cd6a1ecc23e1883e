"""Looking: stats, list, groups. Nothing is changed; what was received is given back."""

import time
from typing import Annotated, Any

import orjson
import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import find
from recovery.cli.options import verb
from recovery.cli.tables import span, table
from recovery.operations.archive import ArchivedDeadLetter, read_all
from recovery.operations.grouping import By, Facts, Filter, Group, counts, facts_of, grouped
from recovery.operations.holders import holders
from worker.core.base.errors import ExitCode, QueueError, StoreError
from worker.core.s3.state import ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX, PARKED_PREFIX, RETRY_PREFIX, State
from worker.terminal import err, iso, print_json, stdout

TOP = 5
MOST_COUNTED = 10_000
_COLUMNS = ("message id", "age", "expires in", "kind", "error", "type", "bucket/key", "receives", "redrives")

MaxSeen = Annotated[int, typer.Option(min=1, help="Messages looked at, at most.")]


@verb(epilog="Examples: dlq stats | dlq stats --json | dlq stats --dlq files-dlq --region eu-central-1")
def stats(context: CommandContext, max_messages: MaxSeen = 10_000) -> ExitCode:
    """Tell how deep the DLQ is, why, since when, who holds what, and what else waits in the state bucket."""
    with context.keep_invisible() as extender:
        found = find(context, extender, Filter(), at_most=max_messages)
    context.count("list")
    facts = found.facts
    oldest_s = min((one.dead_letter.sent_ms / 1000 for one in facts if one.dead_letter.sent_ms), default=None)
    _tell_cloudwatch(context, oldest_s)
    figures: dict[str, Any] = {
        "dlq": context.dlq.url,
        "visible": int(context.attributes.get("ApproximateNumberOfMessages", 0)),
        "in_flight": int(context.attributes.get("ApproximateNumberOfMessagesNotVisible", 0)),
        "coverage": {"seen": found.scan.seen, "about": found.scan.about},
        "oldest_at": None if oldest_s is None else iso(oldest_s),
        "soonest_expiry_at": None if oldest_s is None else iso(oldest_s + context.retention_s),
        "by_kind": counts(facts, By.KIND),
        "by_error": counts(facts, By.ERROR),
        "by_source": counts(facts, By.SOURCE),
        "by_type": counts(facts, By.TYPE),
        "groups": [_group_json(group) for group in grouped(facts, By.FINGERPRINT)[:TOP]],
        "redrive_policy": _policy(context),
        **_state(context.state),
    }
    if context.as_json:
        print_json(figures)
    else:
        _print_stats(figures, oldest_s, context.retention_s)
    return ExitCode.OK


@verb(
    name="list",
    epilog="Examples: dlq list | dlq list --kind SYSTEM_ERROR --older-than 2h | dlq list --match 契約 --json | "
    "dlq list --archive",
)
def list_(
    context: CommandContext,
    chosen: Filter,
    max_messages: Annotated[int, typer.Option(min=1, help="Messages shown, at most.")] = 100,
    archive: Annotated[bool, typer.Option("--archive", help="What is in dlq-archive/, instead.")] = False,
) -> ExitCode:
    """Show messages, one a line. Exit codes: 0, 1 where there is none."""
    if archive:
        return _list_archive(context, chosen, max_messages)
    with context.keep_invisible() as extender:
        found = find(context, extender, chosen, at_most=max_messages)
    context.count("list")
    if context.as_json:
        print_json([one.as_json(retention_s=context.retention_s) for one in found.facts])
    elif found.facts:
        stdout().print(table(_COLUMNS, [_row(one, context.retention_s) for one in found.facts]))
    return found.exit_code


@verb(epilog="Examples: dlq groups | dlq groups --by error | dlq groups --by source --kind UNKNOWN")
def groups(
    context: CommandContext,
    chosen: Filter,
    by: Annotated[By, typer.Option(help="What is counted as one.", case_sensitive=False)] = By.FINGERPRINT,
    max_messages: MaxSeen = 10_000,
) -> ExitCode:
    """Show what failed for one cause: error type and innermost frame of ours. Exit codes: 0, 1 where there is none."""
    with context.keep_invisible() as extender:
        found = find(context, extender, chosen, at_most=max_messages)
    context.count("list")
    made = grouped(found.facts, by)
    if context.as_json:
        print_json([_group_json(group) for group in made])
    elif made:
        stdout().print(_groups_table(made, str(by)))
    return found.exit_code


# -- stats ---------------------------------------------------------------------------------------------------------


def _tell_cloudwatch(context: CommandContext, oldest_s: float | None) -> None:
    """SQS's own age of the oldest message does not count from when a redriven letter was first sent; its retention does."""
    age_s = 0.0 if oldest_s is None else time.time() - oldest_s
    left = {} if oldest_s is None else {"DlqSoonestExpiry": max(0.0, context.retention_s - age_s)}
    context.tell({"DlqOldestAge": age_s, **left})


def _policy(context: CommandContext) -> dict[str, Any] | None:
    """The source queue's redrive policy; None where no source is set, or it has none."""
    if context.settings.sqs_queue_url is None:
        return None
    try:
        policy = orjson.loads(context.source().attributes().get("RedrivePolicy", "null"))
    except (QueueError, ValueError) as error:
        return {"error": str(error)}
    if not isinstance(policy, dict):
        return None
    return {**policy, "leads_here": policy.get("deadLetterTargetArn") == context.attributes.get("QueueArn")}


def _state(state: State | None) -> dict[str, Any]:
    """Who holds letters, and how many records wait in the state bucket; counted no further than 10,000 of each."""
    if state is None:
        return {"holders": None, "state_bucket": None}
    try:
        parked = state.count(PARKED_PREFIX, at_most=MOST_COUNTED)
        both = state.count(RETRY_PREFIX, at_most=MOST_COUNTED + parked)
        return {
            "holders": holders(state),
            "state_bucket": {
                "bucket": state.bucket,
                "retry-index/": both - parked if both < MOST_COUNTED + parked else MOST_COUNTED,
                "retry-index/parked/": parked,
                "dlq-archive/": state.count(ARCHIVE_PREFIX, at_most=MOST_COUNTED),
                "dead-letters/": state.count(DEAD_LETTERS_PREFIX, at_most=MOST_COUNTED),
            },
        }
    except StoreError as error:
        return {"holders": None, "state_bucket": {"bucket": state.bucket, "error": str(error)}}


def _print_stats(figures: dict[str, Any], oldest_s: float | None, retention_s: int) -> None:
    out, now = stdout(), time.time()
    rows: list[tuple[str, Any]] = [
        ("DLQ", figures["dlq"]),
        ("depth", f"{figures['visible']:,} visible, {figures['in_flight']:,} in flight"),
    ]
    if oldest_s is not None:
        left_s = oldest_s + retention_s - now
        rows += [("oldest", f"{span(now - oldest_s)} ago"), ("soonest expiry", f"in {span(left_s)}")]
    rows += [(f"by {name}", _said(figures[f"by_{name}"])) for name in ("kind", "error", "source", "type")]
    rows.append(("redrive policy", _policy_said(figures["redrive_policy"])))
    bucket = figures["state_bucket"] or {"": "no STATE_BUCKET"}
    rows += [(name, value if value != MOST_COUNTED else f"{value:,} or more") for name, value in bucket.items()]
    for one in figures["holders"] or []:
        since = f"since {one.get('since')}"
        rows.append(("held by", f"{one.get('command')} on {one.get('host')}, pid {one.get('pid')}, {since}"))
    out.print(table(("", ""), rows))
    if figures["groups"]:
        out.print(_groups_table([Group(**_group_of(one)) for one in figures["groups"]], "fingerprint"))


def _said(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in found.items()) or "none"


def _policy_said(policy: dict[str, Any] | None) -> str:
    if policy is None:
        return "none"
    if "error" in policy:
        return str(policy["error"])
    here = "this DLQ" if policy["leads_here"] else f"ANOTHER queue, {policy.get('deadLetterTargetArn')}"
    return f"after {policy.get('maxReceiveCount')} receives, to {here}"


# -- groups --------------------------------------------------------------------------------------------------------


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "group": group.name, "error_type": group.error, "kind": group.kind, "count": group.count,
        "first_ms": group.first_ms, "last_ms": group.last_ms, "message": group.message, "ids": group.ids,
    }  # fmt: skip


def _group_of(figures: dict[str, Any]) -> dict[str, Any]:
    renamed = {"group": "name", "error_type": "error"}
    return {renamed.get(name, name): value for name, value in figures.items()}


def _groups_table(made: list[Group], by: str) -> Any:
    now = time.time()
    rows = [
        (group.name, group.count, group.kind, group.error, span(now - group.first_ms / 1000),
         span(now - group.last_ms / 1000), group.message, " ".join(group.ids))
        for group in made
    ]  # fmt: skip
    return table((by, "count", "kind", "error", "first", "last", "it says", "such as"), rows)


# -- list ----------------------------------------------------------------------------------------------------------


def _row(facts: Facts, retention_s: int) -> tuple[Any, ...]:
    one = facts.as_json(retention_s=retention_s)
    more = f" (and {len(facts.refs) - 1} more)" if len(facts.refs) > 1 else ""
    return (
        facts.dead_letter.id, span(one["age_s"]), span(one["expires_in_s"]), facts.dead_letter.kind, facts.error, facts.type,
        facts.about + more, one["receives"], one["redrives"],
    )  # fmt: skip


def _list_archive(context: CommandContext, chosen: Filter, max_messages: int) -> ExitCode:
    state = context.need_state("--archive lists what is in dlq-archive/ there")
    found: list[tuple[ArchivedDeadLetter, Facts]] = []
    for entry in read_all(state, state.keys(ARCHIVE_PREFIX)):
        facts = facts_of(entry.dead_letter, context.types, default_bucket=context.settings.s3_bucket)
        if context.signals.stop.is_set() or len(found) == max_messages:
            err.print("there is more: see --max-messages", highlight=False)
            break
        if chosen.wants(facts):
            found.append((entry, facts))
    context.count("list")
    if context.as_json:
        print_json([_archived_json(entry, facts, context.retention_s) for entry, facts in found])
    elif found:
        rows = [
            (
                entry.dead_letter.id,
                entry.archived_at,
                entry.run,
                facts.about,
                entry.error_type,
                entry.reason,
                _restored(entry),
            )
            for entry, facts in found
        ]
        stdout().print(table(("message id", "archived", "run", "bucket/key", "error", "reason", "restored"), rows))
    return ExitCode.OK if found else ExitCode.NOT_FOUND


def _archived_json(entry: ArchivedDeadLetter, facts: Facts, retention_s: int) -> dict[str, Any]:
    kept = {name: getattr(entry, name) for name in ("archived_at", "by", "run", "queue", "reason", "restored")}
    return {**facts.as_json(retention_s=retention_s), **kept, "record": entry.key, "archived_for": entry.error_type}


def _restored(entry: ArchivedDeadLetter) -> str:
    mark = entry.restored
    return "" if not mark else f"{'to' if mark.get('done') else 'being restored to'} {mark.get('to')}, {mark.get('at')}"
