"""`abandon` and `delete`: archive dead letters, and delete their records."""

from collections.abc import Sequence

from recovery.ledger.operation_items import Result
from recovery.ledger.rows import Row, State
from recovery.manager.acting.acts import NEVER, Acted, Options, World, claiming, not_acted, read_records
from recovery.operations.abandon import ArchivedAs, archive_claimed
from recovery.operations.dead_letters.facts import facts_of
from recovery.operations.records.archive import Archive
from recovery.operations.transfer.sending import TransferReport
from worker.core.audit import Run


def remove(world: World, rows: Sequence[Row], run: Run, options: Options, *, archived_as: ArchivedAs) -> list[Acted]:
    """Archive stored dead letters; what is archived is deleted once the audit says so. Raises StoreError before that."""
    records = read_records(world, rows)
    facts = [
        facts_of(stored.dead_letter, world.clients.types)
        for row in rows
        if (stored := records[row.identity]) is not None
    ]
    archive = Archive(world.state, world.clients.dlq.url, run.by, run.name)
    report = TransferReport()
    given = reason_in(options)
    reason = given or f"{archived_as.value} by {run.by}"
    with claiming(world, run) as claims:
        report.refused |= claims.take(one.dead_letter for one in facts)
        claimed = [one for one in facts if one.dead_letter.id not in report.refused]
        archived = archive_claimed(archive, claimed, report, NEVER, reason=reason, archived_as=archived_as)
        left = claims.remove(archived, archived_as.value, reason=given)
    return [_result(row, report, left, given) or not_acted(row, report.refused, records) for row in rows]


def reason_in(options: Options) -> str:
    """Why somebody wants it, in their words; empty if they did not say."""
    return str(options.get("reason") or "")


def _result(row: Row, report: TransferReport, left: dict[str, str], reason: str) -> Acted | None:
    name = row.identity
    if (why := left.get(name) or report.kept.get(name)) is not None:
        return Acted(row, Result.WAITING, why)
    if name in report.sent:
        fields = {"state": State.ABANDONED, "retry_at_ms": None, "retry_by": None}
        return Acted(row, Result.DONE, fields=fields, reason=reason)
    return None
