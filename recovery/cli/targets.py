"""Where messages are sent to, and what must be so before any is."""

from collections.abc import Callable
from typing import Any

import orjson

from recovery.cli.context import CommandContext
from recovery.cli.tables import table
from recovery.operations.dead_letters import DeadLetter
from recovery.operations.message_types import MessageTypes
from recovery.operations.sending import Report, Rules, SendEntry
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, ExitCode, QueueError
from worker.core.sqs.queue import Queue
from worker.terminal import print_json, stdout

DLQ, SOURCE = "dlq", "source"


def source_of(context: CommandContext, to: str | None) -> Queue:
    """The queue to redrive to. Raises ConfigError where the source dead-letters elsewhere and --to does not say it."""
    target = context.source() if to is None else context.queue(to)
    if target.url == context.dlq.url:
        raise ConfigError(f"--to {target.url} is the DLQ itself; it would be the queue that the messages came from")
    attributes = checked(target)
    policy = orjson.loads(attributes.get("RedrivePolicy") or "{}")
    leads_to = policy.get("deadLetterTargetArn")
    if to is None and leads_to and leads_to != context.attributes.get("QueueArn"):
        raise ConfigError(
            f"SQS_QUEUE_URL={target.url} dead-letters to {leads_to}, not to DLQ_QUEUE_URL={context.dlq.url}: "
            f"say with --to QUEUE where these messages belong"
        )
    return target


def place(context: CommandContext, to: str) -> Queue:
    """`dlq`, `source`, or a queue by URL or name. Raises ConfigError."""
    if to == DLQ:
        return context.dlq
    return source_of(context, None if to == SOURCE else to)


def entries_for(
    context: CommandContext, to: Queue, types: MessageTypes, *, force: bool
) -> Callable[[DeadLetter], SendEntry | str]:
    """How a letter is sent to a queue: back to the DLQ as it was, anywhere else redriven."""
    rules = Rules(to, types, force=force)
    return rules.as_it_was if to.url == context.dlq.url else rules.redriven


def checked(queue: Queue) -> dict[str, str]:
    """A queue's attributes. Raises ConfigError or DependencyError that names the queue."""
    try:
        return queue.attributes()
    except QueueError as error:
        kind = DependencyError if is_transient(error) else ConfigError
        raise kind(f"{queue.url}: {error}") from error


def told(context: CommandContext, figures: dict[str, Any], report: Report, done: str) -> None:
    """Print what became of the messages; `done` says what was done to those that went."""
    if context.as_json:
        became = report.as_json()
        if figures.get("dry_run"):
            became["would_send"] = became.pop("sent")
        print_json({**figures, **became})
        return
    out = stdout()
    out.print(f"{len(report.sent):,} {done}", markup=False, highlight=False, soft_wrap=True)
    rows = [
        *((name, "refused", why) for name, why in report.refused.items()),
        *((name, "kept", why) for name, why in report.kept.items()),
        *((name, "not deleted", "it is in both places now, which does no harm") for name in report.not_deleted),
    ]
    if rows:
        out.print(table(("message id", "finding", "why"), rows))


def exit_code(context: CommandContext, report: Report, *codes: ExitCode) -> ExitCode:
    """INTERRUPTED or TERMINATED, else the worst of what was found."""
    if context.signals.exit_code is not None:
        return context.signals.exit_code
    unfinished = bool(report.refused or report.kept or report.not_deleted)
    return max(ExitCode.INCOMPLETE if unfinished else ExitCode.OK, *codes)
