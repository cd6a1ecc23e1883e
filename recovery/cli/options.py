"""Options that several commands share."""

from typing import Annotated, Any

import typer

from recovery.operations.dead_letters.facts import NO_FINGERPRINT, Filter
from recovery.operations.dead_letters.short_ids import MIN_CHARS, typed
from worker.core.base.classify import FailureKind
from worker.core.base.text import one_line
from worker.terminal import seconds


def _not_blank(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter(
            "is empty; it must state the reason, for those who find the message in the archive later"
        )
    return reason


def _not_empty(given: Any) -> Any:
    """Refuse what an unset variable of a shell makes of an option: an empty filter would select every message."""
    values = [given] if isinstance(given, str) else given or ()
    if not all(one.strip() for one in values):
        raise typer.BadParameter(
            "is empty; give what selects messages, or leave it out (is a variable of the shell not set?)"
        )
    return given


IdArguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID",
        show_default=False,
        help=f"Id of a message, or at least its first {MIN_CHARS} characters; repeatable.",
        callback=_not_empty,
    ),
]
MessageId = Annotated[
    list[str] | None, typer.Option(metavar="ID", help="The same as ID; repeatable.", callback=_not_empty)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what the command would do, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
AcceptGone = Annotated[
    bool,
    typer.Option("--accept-gone", help="Go on although most objects are gone: you have checked that they should be."),
]
AcceptSkipped = Annotated[
    bool,
    typer.Option("--accept-skipped", help="Go on although most messages have nothing to index: you have checked that."),
]
ArchiveSystemErrors = Annotated[
    bool,
    typer.Option(
        "--archive-system-errors",
        help="Also give up, and archive, what configuration or code is at fault for; otherwise it is kept, with exit code 3.",
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Log each message or record that is kept, archived, stored, rejected or parked."
    ),
]
WhilePaused = Annotated[bool, typer.Option("--while-paused", help="Run even if the fleet is paused.")]
Force = Annotated[bool, typer.Option("--force", help="Include messages that were already redriven three times.")]
Wide = Annotated[bool, typer.Option("--wide", help="One line each, with complete ids, however long: as in a pipe.")]
Columns = Annotated[
    str | None, typer.Option(help="The columns to show, in this order: key,error,age.", metavar="NAMES")
]
EachMessage = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="List each message that was not sent, not only each reason with an example."),
]
Rate = Annotated[float | None, typer.Option(min=0.1, help="Maximum number of messages per second.")]
Reason = Annotated[str, typer.Option(help="The reason; stored with the message and in the audit.", callback=_not_blank)]
MaxSeen = Annotated[int, typer.Option(min=1, help="Maximum number of messages to read.")]
MaxTaken = Annotated[int | None, typer.Option(min=1, help="Maximum number of messages to process.")]
All = Annotated[bool, typer.Option("--all", help="Select every message, without a filter or a limit.")]
To = Annotated[str | None, typer.Option(help="URL or name of the queue to send to, instead of SQS_QUEUE_URL.")]
Kind = Annotated[FailureKind | None, typer.Option(help="Only failures of this kind.", case_sensitive=False)]
OlderThan = Annotated[
    str | None,
    typer.Option(help="Only messages first sent at least this long ago: 90s, 30m, 2h, 1d.", callback=_not_empty),
]
Error = Annotated[str | None, typer.Option(help="Only failures with this error type.", callback=_not_empty)]
MessageType = Annotated[
    str | None,
    typer.Option(
        "--type",
        help="Only messages of this type: s3-event, maps, web, or one in MESSAGE_TYPES_DIR.",
        callback=_not_empty,
    ),
]
Match = Annotated[
    str | None,
    typer.Option(help="Only messages with this text in the body or in s3://BUCKET/KEY.", callback=_not_empty),
]
OfGroup = Annotated[
    str | None,
    typer.Option(
        "--group",
        help=f"Only messages with this fingerprint, as shown by `dlq groups`, or its first {MIN_CHARS} characters or more.",
        callback=_not_empty,
    ),
]


def filter_of(
    kind: FailureKind | None, error: str | None, message_type: str | None, older_than: str | None, match: str | None,
    group: str | None,
) -> Filter:  # fmt: skip
    """The filter that was given by these options. Raises a usage error for a duration that is none, or a group that is none."""
    group = None if group is None else typed(group)
    if group is not None and group != NO_FINGERPRINT and len(group) < MIN_CHARS:
        raise typer.BadParameter(
            f"{one_line(group)!r} is too short: it should be a fingerprint, as shown by `dlq groups`, or at least its first "
            f"{MIN_CHARS} characters ({NO_FINGERPRINT}: messages without one)",
            param_hint="--group",
        )
    return Filter(kind, error, message_type, seconds(older_than, "--older-than"), match, group)
