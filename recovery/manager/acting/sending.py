"""`redrive` and `restore`: send dead letters to a queue again."""

from collections.abc import Sequence

from recovery.ledger.operation_items import Result
from recovery.ledger.rows import Row, State
from recovery.manager.acting.acts import (
    NEVER,
    Acted,
    Options,
    World,
    as_recorded,
    at_once,
    claiming,
    not_acted,
    read_records,
)
from recovery.operations.dead_letters.stored import Passing
from recovery.operations.records import archive
from recovery.operations.records.archive import ArchivedDeadLetter
from recovery.operations.restore import restore_one
from recovery.operations.transfer.claims import Unreadable
from recovery.operations.transfer.sending import Prepared, TransferReport, is_fifo, post, prepare
from recovery.operations.transfer.targets import Target, redrive_target
from worker.core.audit import AuditEvent, Run, record
from worker.core.sqs.dead_letter import DeadLetter, Refused
from worker.core.sqs.stored_dead_letter import Sending, StoredDeadLetter

OVERTAKEN = "one before it was not sent"
BEFORE = "before the interruption"


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
    done = {row.identity: sent for row in rows if (sent := sent_before(world, row, records[row.identity], run))}
    found = [stored.dead_letter for name, stored in records.items() if stored is not None and name not in done]
    one_by_one = is_fifo(target.queue)
    if one_by_one:
        found.sort(key=_place_in_queue)
    report = TransferReport()
    with claiming(world, run) as claims:
        for part in _parts(prepare(found, target.entry_of, report), one_by_one=one_by_one):
            if one_by_one and _has_stopped(report):
                report.keep((dead_letter for dead_letter, _ in part), OVERTAKEN)
                continue
            for confirmed in post(target.queue, part, report, stop=NEVER, claim=claims.take):
                report.not_deleted += claims.sent(confirmed, to=target.url, unconfirmed_s=target.unconfirmed_s)
    acted = [
        done.get(row.identity)
        or _result(row, report, _sent(claims.sendings.get(row.identity), run, target))
        or not_acted(row, report.refused, records, waits=Passing if one_by_one else Unreadable)
        for row in rows
    ]
    _say(world, run, acted, target)
    return acted


def sent_before(world: World, row: Row, record: StoredDeadLetter | None, run: Run) -> Acted | None:
    """That this run has sent it already, as its record says: before a kill, or while another executor had the operation."""
    if record is None or record.sent is None or record.sent.run != run.name:
        return None
    return Acted(row, Result.DONE, BEFORE, as_recorded(world, record))


def restore(world: World, target: Target, rows: Sequence[Row], run: Run) -> list[Acted]:
    """Send archived dead letters to a queue again; they stay in the archive. Raises StoreError before anything is sent."""
    entries = [entry for entry in at_once(lambda row: archived(world, row), rows) if entry is not None]
    report = TransferReport()

    def send(entry: ArchivedDeadLetter) -> None:
        made = target.entry_of(entry.dead_letter)
        if isinstance(made, Refused):
            report.refused[entry.dead_letter.id] = made.reason
        else:
            restore_one(world.state, run, target, entry, made, report)

    if is_fifo(target.queue):
        for entry in sorted(entries, key=lambda one: _place_in_queue(one.dead_letter)):
            if _has_stopped(report):
                report.keep([entry.dead_letter], OVERTAKEN)
            else:
                send(entry)
    else:
        at_once(send, entries)
    acted = [_result(row, report, {}) or _not_restored(row, report) for row in rows]
    _say(world, run, acted, target)
    return acted


def archived(world: World, row: Row) -> ArchivedDeadLetter | None:
    """The archived dead letter of a row; None if it is not where it should be. Raises StoreError."""
    message = DeadLetter(row.identity, "", {"SentTimestamp": str(row.sent_ms)}, {})
    return archive.find(world.state, message, row.object_key)


def _place_in_queue(dead_letter: DeadLetter) -> tuple[int, int]:
    """SQS numbers the messages of a group in their order; the numbers are up to 128 bits long."""
    number = dead_letter.system.get("SequenceNumber", "")
    return dead_letter.sent_ms, int(number) if number.isdecimal() else 0


def _has_stopped(report: TransferReport) -> bool:
    """Whether something could not be sent that can be later: what follows must not overtake it."""
    return bool(report.kept) or any(isinstance(why, Passing) for why in report.refused.values())


def _parts(prepared: list[Prepared], *, one_by_one: bool) -> list[list[Prepared]]:
    return [[one] for one in prepared] if one_by_one else [prepared]


def _sent(sending: Sending | None, run: Run, target: Target) -> dict[str, object]:
    return {
        "state": State.SENT, "sent_at_ms": sending.at_ms if sending else None, "sent_by": run.by, "sent_to": target.url,
        "sent_run": run.name, "retry_at_ms": None, "retry_by": None, "outcome": None, "finding": None,
    }  # fmt: skip


def _result(row: Row, report: TransferReport, fields: dict[str, object]) -> Acted | None:
    name = row.identity
    if name in report.sent:
        unmarked = "sent, but its record could not be marked" if name in report.not_deleted else ""
        return Acted(row, Result.DONE, report.kept.get(name, unmarked), fields)
    why = report.kept.get(name)
    return None if why is None else Acted(row, Result.WAITING, why, in_doubt=why != OVERTAKEN)


def _not_restored(row: Row, report: TransferReport) -> Acted:
    why = report.refused.get(row.identity)
    return Acted(row, Result.FAILED, "it is not in dlq-archive/") if why is None else Acted(row, Result.SKIPPED, why)


def _say(world: World, run: Run, acted: Sequence[Acted], target: Target) -> None:
    """Say in the audit what was sent. It is sent whatever the audit says."""
    sent = {one.row.identity: "sent" for one in acted if one.state is Result.DONE}
    if sent:
        details = {"dlq": world.clients.dlq.url, "to": target.url}
        record(world.state, AuditEvent(run.action, run.name, run.by, tuple(sent), sent, details))
