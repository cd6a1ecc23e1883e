"""The `dlq` command that does what a button of the console does, to be copied into a terminal."""

from recovery.ledger.refusals import Verb
from recovery.operations.dead_letters.short_ids import as_argument, typed

WHY = "--reason WHY"
"""The word in capitals is the operator's to replace."""
_OPTIONS = {
    Verb.REDRIVE: "", Verb.RECOVER: "", Verb.ABANDON: f" {WHY}", Verb.DELETE: f" {WHY}", Verb.RESTORE: " --to source",
}  # fmt: skip
"""The verbs that `dlq` has; what people say about a dead letter, only the manager writes."""
INSPECT = "inspect"


def dlq_command(verb: Verb, identity: str, *, force: bool = False, while_paused: bool = False) -> str | None:
    """The command for one dead letter, quoted for a shell; None if `dlq` has no such verb, or cannot be given such an id."""
    if verb not in _OPTIONS or typed(identity) != identity:
        return None
    options = _OPTIONS[verb]
    options += " --force" if force and verb is Verb.REDRIVE else ""
    options += " --while-paused" if while_paused and verb in {Verb.REDRIVE, Verb.RECOVER, Verb.RESTORE} else ""
    return f"dlq {verb} {as_argument(identity)}{options}"


def inspect_command(identity: str) -> str:
    """The command that shows one dead letter."""
    return f"dlq {INSPECT} {as_argument(identity)}"
