"""Destroys a dead letter: its record and the copies of its body, with all versions. What was done is in the audit, nothing else."""

import orjson

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Change, Row, State
from recovery.manager.acting.acts import World, claiming, read_records
from recovery.manager.acting.verbs import Verbs
from recovery.operations.records.archive import archive_key
from worker.core import audit
from worker.core.audit import AUDIT_PREFIX, AuditEvent, Run
from worker.core.s3.state import ARCHIVE_PREFIX, safe_name
from worker.core.sqs.dead_letter import DeadLetter

PURGED = "purged"


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
        _forget_in_audit(world, names)
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
    for key in sorted(keys):
        world.state.destroy(key)


def _forget_in_audit(world: World, names: set[str]) -> None:
    """Take its body out of the entries that have it; everything else that they say stays.

    An entry is never missing meanwhile: first it is written without the body, then its earlier versions go. If only the first
    was done, `purged` says so the next time.
    """
    for key in list(world.state.keys(AUDIT_PREFIX)):
        raw = world.state.get(key)
        entry = orjson.loads(raw) if raw else {}
        bodies, purged = entry.get("dead_letters") or [], set(entry.get("purged") or [])
        kept = [one for one in bodies if one.get("message_id") not in names]
        if len(kept) < len(bodies):
            world.state.put(key, orjson.dumps({**entry, "dead_letters": kept, "purged": sorted(purged | names)}))
        if len(kept) < len(bodies) or purged & names:
            world.state.destroy(key, but_latest=True)
