"""`hold`, `release`, `note`, `assign`: change what people say about dead letters, in their records first."""

from collections.abc import Sequence

from recovery.ledger.operation_items import Result
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Row
from recovery.manager.acting.acts import Acted, Options, World, change_each
from recovery.operations.dead_letters.desk import Said, held, noted, owned_by, released
from worker.core.audit import AuditEvent, Run, record


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
    """Change records; the caller changes the rows."""
    said = said_of(verb, options, by=run.by)
    acted = change_each(world, rows, said)
    done = {one.row.identity: verb.value for one in acted if one.state is Result.DONE}
    if done:
        details = {name: options[name] for name in ("reason", "note", "owner") if options.get(name)}
        record(world.state, AuditEvent(run.action, run.name, run.by, tuple(done), done, details))
    return acted
