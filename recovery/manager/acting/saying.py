"""`hold`, `release`, `note`, `assign`: change what people say about dead letters, in their records first."""

from collections.abc import Mapping, Sequence

from recovery.ledger.operation_items import Result
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Row
from recovery.manager.acting.acts import Acted, Options, World, change_each
from recovery.manager.records import RowMaker
from recovery.operations.dead_letters.desk import Said, held, noted, owned_by, released
from worker.core.audit import AuditEvent, Run, record
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

FIELD = {Verb.HOLD: "hold", Verb.RELEASE: "hold", Verb.NOTE: "note", Verb.ASSIGN: "owner"}
"""The field of a row that each changes."""


def said_of(verb: Verb, options: Options, *, by: str) -> Said:
    """The change that these options mean. Raises ValueError for a text that is too long, or none."""
    match verb:
        case Verb.HOLD:
            return held(options.get("reason"), by=by)
        case Verb.RELEASE:
            return released
        case Verb.NOTE:
            return noted(options.get("note"))
        case Verb.ASSIGN:
            return owned_by(options.get("owner"))
        case _:
            raise ValueError(f"{verb} says nothing")


def say(world: World, rows: Sequence[Row], run: Run, options: Options, *, verb: Verb) -> list[Acted]:
    """Change records; the caller changes the rows. The audit has what stood there before, as the ledger may know it."""
    said, before = said_of(verb, options, by=run.by), dict[str, StoredDeadLetter]()

    def change(stored: StoredDeadLetter) -> StoredDeadLetter:
        before[stored.dead_letter.id] = stored
        return said(stored)

    acted = change_each(world, rows, change)
    done = {one.row.identity: verb.value for one in acted if one.state is Result.DONE}
    if done:
        details = {name: options[name] for name in ("reason", "note", "owner") if options.get(name)}
        was = _was(world.rows, [before[one] for one in done], verb)
        record(
            world.state,
            AuditEvent(run.action, run.name, run.by, tuple(done), done, details | ({"was": was} if was else {})),
        )
    return acted


def _was(rows: RowMaker, before: Sequence[StoredDeadLetter], verb: Verb) -> Mapping[str, str]:
    """What stood in the place of what is said now, by identity; nothing of those where nothing stood."""
    said = ((one.dead_letter.id, getattr(rows.row(one), FIELD[verb])) for one in before)
    return {identity: text for identity, text in said if text}
