"""What somebody has to type before a plan is carried out: only where that cannot be undone, or is about many."""

import unicodedata

from recovery.ledger.plans import Plan
from recovery.ledger.refusals import Verb

MANY = 1_000
"""Of more, the number is typed: whoever reads 48,120 in place of 48 has to notice."""
IRREVERSIBLE = frozenset({Verb.DELETE})
"""What nobody brings back. Abandoned dead letters are in the archive, from where `restore` sends them again."""
_SEPARATORS = frozenset(",.'_ \u00a0\u202f\u2009")


def to_type(plan: Plan) -> str | None:
    """The text that has to be typed: the verb or the number; None if nothing has."""
    if plan.count > MANY:
        return str(plan.count)
    return plan.verb.value if plan.verb in IRREVERSIBLE else None


def is_typed(plan: Plan, typed: str) -> bool:
    """Whether what has to be typed was typed; a number in whatever form its reader's language has."""
    wanted = to_type(plan)
    if wanted is None:
        return True
    given = unicodedata.normalize("NFKC", typed).strip().lower()
    return given == wanted or (wanted.isdecimal() and "".join(one for one in given if one not in _SEPARATORS) == wanted)
