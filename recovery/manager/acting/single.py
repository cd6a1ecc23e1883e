"""Acts on single dead letters at once, without a plan: for what a person does to one."""

import secrets
from collections.abc import Sequence

from recovery.ledger.ledger import Ledger
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Row
from recovery.manager.acting.acts import Acted, Options, after_conflict
from recovery.manager.acting.verbs import Verbs
from worker.core.audit import Run


def act_on(ledger: Ledger, verbs: Verbs, verb: Verb, rows: Sequence[Row], options: Options, *, by: str) -> list[Acted]:
    """Act on up to ten, then write their rows. Raises WorkerError; before anything was done, unless it is a LedgerError."""
    name = Run.new("dlq-manager api", action=verb.value, by=by).name
    run = verbs.run(verb, name=f"{name}-{secrets.token_hex(3)}", by=by)
    with verbs.doing(verb, run, options) as act:
        acted = act(rows)
    made = {one.row.identity: (one, change) for one in acted if (change := one.change(verb, run)) is not None}
    changed = ledger.change_many([change for _, change in made.values()])
    again = (after_conflict(verbs.world, *made[identity], version) for identity, version in changed.conflicts.items())
    ledger.change_many([change for change in again if change is not None])
    return acted
