"""Destroys a dead letter: its record and the copies of its body, with all versions. What was done is in the audit, nothing else."""

from typing import Any

import orjson

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Change, Row, State
from recovery.manager.acting.acts import World, claiming, read_records
from recovery.manager.acting.verbs import Verbs
from recovery.operations.records import archive
from recovery.operations.records.archive import archive_key
from recovery.operations.records.reading import read_all
from worker.core import audit
from worker.core.audit import AUDIT_PREFIX, AuditEvent, Run
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.conditional import write_instead
from worker.core.s3.state import ARCHIVE_PREFIX, dated, safe_name
from worker.core.sqs.dead_letter import DeadLetter

PURGED = "purged"
DAY_MS = 86_400_000


def purge(ledger: Ledger, verbs: Verbs, row: Row, *, by: str) -> str:
    """Destroy it; why it must not be, or nothing. Raises StoreError; it can then be done again.

    The audit says so first; then the copies go, the record last: as long as it is there, nothing is finished.
    """
    world = verbs.world
    run = Run.new("dlq-manager api", action="purge", by=by)
    stored = read_records(world, [row])[row.identity]
    with claiming(world, run) as claims:
        if stored is not None and (refused := claims.take([stored.dead_letter])):
            return refused[row.identity]
        audit.write(world.state, AuditEvent("purge", run.name, by, (row.identity,), {row.identity: PURGED}))
        names = {row.identity, *(name for name, _ in ledger.messages_of(row.identity))}
        _destroy_archived(world, row, names)
        _forget_in_audit(world, row, names)
        if stored is not None:
            claims.forget(stored.dead_letter)  # a claim that ended later would write the record again
        world.state.destroy(row.key)
    ledger.change_many([
        Change(row.identity, "purge", by, {"state": State.ABANDONED, "message": "", "note": None}, {"run": run.name})
    ])  # fmt: skip
    return ""


def _destroy_archived(world: World, row: Row, names: set[str]) -> None:
    message = DeadLetter(row.identity, "", {"SentTimestamp": str(row.sent_ms)}, {})
    endings = tuple(f"-{safe_name(name)}.json" for name in names)
    keys = {archive_key(message, row.object_key)}
    keys.update(key for key in world.state.keys(ARCHIVE_PREFIX) if key.endswith(endings))
    found = archive.read_all(world.state, sorted(keys))
    others = {one.key for one in found if one.dead_letter.body_sha256 != row.body_sha256}  # ids can be forged
    for key in sorted(keys - others):
        world.state.destroy(key)


def _forget_in_audit(world: World, row: Row, names: set[str]) -> None:
    """Take its body out of the entries that have it; everything else that they say stays.

    An entry is never missing meanwhile: first it is written without the body, then its earlier versions go. If only the first
    was done, `purged` says so the next time.
    """

    def forget(key: str) -> None:
        while (found := world.state.get_with_etag(key)) is not None:
            entry = _entry(key, found[0])
            bodies, purged = entry.get("dead_letters") or [], set(entry.get("purged") or [])
            kept = [one for one in bodies if not _is_copy(one, row, names)]
            if len(kept) == len(bodies):
                if purged & names:
                    world.state.destroy(key, but_latest=True)
                return
            record = orjson.dumps({**entry, "dead_letters": kept, "purged": sorted(purged | names)})
            write_instead(world.state, key, record, instead_of=found[1])  # another purge may be taking another body out

    # Nothing was written about it before it came; a day more for clocks that differ.
    first = f"{AUDIT_PREFIX}{dated(max(0, min(row.first_seen_ms, row.first_failed_ms) - DAY_MS))}/"
    for _ in read_all((key for key in world.state.keys(AUDIT_PREFIX) if key >= first), forget):
        pass


def _entry(key: str, raw: bytes) -> dict[str, Any]:
    """An entry of the audit; an empty one where it is not ours, which keeps nobody from purging."""
    try:
        entry = orjson.loads(raw)
        if isinstance(entry, dict):
            return entry
        why = "it is not a JSON object"
    except ValueError as error:
        why = str(error)
    emit(LogEvent.AUDIT_UNREADABLE, "warning", name=key, error=why)
    return {}


def _is_copy(found: dict[str, object], row: Row, names: set[str]) -> bool:
    try:
        return found.get("message_id") in names and DeadLetter.from_json(found).body_sha256 == row.body_sha256
    except ValueError:
        return False
