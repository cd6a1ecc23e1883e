"""`hold`, `release`, `note`, `assign`: change what people say about dead letters, in their records first."""

from collections.abc import Sequence

from recovery.ledger.operation_items import Result
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Row
from recovery.manager.acting.acts import GONE, NEVER, Acted, Options, World, as_recorded, at_once
from recovery.operations.dead_letters.desk import Said, change_record, held, noted, owned_by, released
from worker.core.audit import AuditEvent, Run, record
from worker.core.base.classify import is_transient
from worker.core.base.errors import StoreError
from worker.core.base.retry import retry_transient


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

    def change(row: Row) -> Acted:
        try:
            stored = retry_transient(
                lambda: change_record(world.state, row.key, said), transient=is_transient, stop=NEVER
            )
        except StoreError as error:
            return Acted(row, Result.WAITING, str(error))
        except ValueError as error:
            return Acted(row, Result.FAILED, str(error))
        if stored is None:
            return Acted(row, Result.FAILED, GONE)
        return Acted(row, Result.DONE, fields=as_recorded(world, stored))

    acted = at_once(change, rows)
    done = {one.row.identity: verb.value for one in acted if one.state is Result.DONE}
    if done:
        details = {name: options[name] for name in ("reason", "note", "owner") if options.get(name)}
        record(world.state, AuditEvent(run.action, run.name, run.by, tuple(done), done, details))
    return acted
