"""`redrive` and `restore`: send dead letters to a queue again."""

from collections.abc import Sequence

from recovery.ledger.operation_items import Result
from recovery.ledger.rows import Row, State
from recovery.manager.acting.acts import GONE, NEVER, Acted, Options, World, at_once, claiming, read_records
from recovery.operations.records import archive
from recovery.operations.records.archive import ArchivedDeadLetter, archive_key
from recovery.operations.restore import restore_one
from recovery.operations.transfer.sending import FIFO, Prepared, TransferReport, post, prepare
from recovery.operations.transfer.targets import Target, redrive_target
from worker.core.audit import AuditEvent, Run, record
from worker.core.sqs.dead_letter import DeadLetter, Refused
from worker.core.sqs.stored_dead_letter import Sending

UNREADABLE = "its record could not be read or written"
"""How a refusal of Claims begins where S3 refuses, which may pass."""


def target_of(world: World, options: Options) -> Target:
    """The queue to send to, checked. Raises ConfigError, DependencyError or PausedError."""
    to = options.get("to")
    queue = world.queue(to) if to else world.source
    return redrive_target(
        world.clients, queue, is_named=bool(to), force=bool(options.get("force")),
        while_paused=bool(options.get("while_paused")),
    )  # fmt: skip


def redrive(world: World, target: Target, rows: Sequence[Row], run: Run) -> list[Acted]:
    """Send stored dead letters to a queue again. Raises StoreError before anything is sent."""
    records = read_records(world, rows)
    found = [stored.dead_letter for row in rows if (stored := records[row.identity]) is not None]
    if is_fifo(target):
        found.sort(key=_place_in_queue)
    report = TransferReport()
    with claiming(world, run) as claims:
        for part in _parts(prepare(found, target.entry_of, report), one_by_one=is_fifo(target)):
            if is_fifo(target) and report.kept:  # what follows must not overtake it
                report.keep((dead_letter for dead_letter, _ in part), "one before it was not sent")
                continue
            for confirmed in post(target.queue, part, report, stop=NEVER, claim=claims.take):
                report.not_deleted += claims.sent(confirmed, to=target.url, unconfirmed_s=target.unconfirmed_s)
    acted = [
        _result(
            row,
            report,
            _sent(claims.sendings.get(row.identity), run, target),
            is_there=records[row.identity] is not None,
        )
        for row in rows
    ]
    _say(world, run, acted, target)
    return acted


def restore(world: World, target: Target, rows: Sequence[Row], run: Run) -> list[Acted]:
    """Send archived dead letters to a queue again; they stay in the archive. Raises StoreError before anything is sent."""
    entries = at_once(lambda row: archived(world, row), rows)
    report = TransferReport()

    def send(entry: ArchivedDeadLetter | None) -> None:
        if entry is None:
            return
        made = target.entry_of(entry.dead_letter)
        if isinstance(made, Refused):
            report.refused[entry.dead_letter.id] = made.reason
        else:
            restore_one(world.state, run, target, entry, made, report)

    at_once(send, entries)
    acted = [
        _result(row, report, {}, is_there=entry is not None, gone="it is not in dlq-archive/")
        for row, entry in zip(rows, entries, strict=True)
    ]
    _say(world, run, acted, target)
    return acted


def archived(world: World, row: Row) -> ArchivedDeadLetter | None:
    """The archived dead letter of a row; None if it is not where it should be. Raises StoreError."""
    message = DeadLetter(row.identity, "", {"SentTimestamp": str(row.sent_ms)}, {})
    try:
        return archive.read(world.state, archive_key(message, row.object_key))
    except ValueError:
        return None


def is_fifo(target: Target) -> bool:
    """Whether the order counts: then one message after another is sent."""
    return target.queue.name.endswith(FIFO)


def _place_in_queue(dead_letter: DeadLetter) -> tuple[int, int]:
    """SQS numbers the messages of a group in their order; the numbers are up to 128 bits long."""
    number = dead_letter.system.get("SequenceNumber", "")
    return dead_letter.sent_ms, int(number) if number.isdecimal() else 0


def _parts(prepared: list[Prepared], *, one_by_one: bool) -> list[list[Prepared]]:
    return [[one] for one in prepared] if one_by_one else [prepared]


def _sent(sending: Sending | None, run: Run, target: Target) -> dict[str, object]:
    return {
        "state": State.SENT, "sent_at_ms": sending.at_ms if sending else None, "sent_by": run.by, "sent_to": target.url,
        "sent_run": run.name, "retry_at_ms": None,
    }  # fmt: skip


def _result(row: Row, report: TransferReport, fields: dict[str, object], *, is_there: bool, gone: str = GONE) -> Acted:
    name = row.identity
    if name in report.sent:
        unmarked = "sent, but its record could not be marked" if name in report.not_deleted else ""
        return Acted(row, Result.DONE, report.kept.get(name, unmarked), fields)
    if name in report.kept:
        return Acted(row, Result.WAITING, report.kept[name])
    if (why := report.refused.get(name)) is not None:
        return Acted(row, Result.WAITING if why.startswith(UNREADABLE) else Result.SKIPPED, why)
    return Acted(row, Result.FAILED, "nothing is known of it" if is_there else gone)


def _say(world: World, run: Run, acted: Sequence[Acted], target: Target) -> None:
    """Say in the audit what was sent. It is sent whatever the audit says."""
    sent = {one.row.identity: "sent" for one in acted if one.state is Result.DONE}
    if sent:
        details = {"dlq": world.clients.dlq.url, "to": target.url}
        record(world.state, AuditEvent(run.action, run.name, run.by, tuple(sent), sent, details))
