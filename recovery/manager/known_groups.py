"""Groups with all that is known of them, for the API and the console."""

from dataclasses import dataclass

from recovery.ledger.group_facts import Facts
from recovery.ledger.groups import Group
from recovery.ledger.ledger import Ledger
from recovery.ledger.selection import Selection
from recovery.ledger.suggestions import Suggestion


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """A group, its facts, and what earlier dead letters of it suggest to do."""

    group: Group
    facts: Facts
    suggestion: Suggestion | None


def groups_with_facts(ledger: Ledger, selection: Selection, *, limit: int) -> list[KnownGroup]:
    """The largest groups of a selection. Their facts are those of whole groups, in the selection's states.

    Raises LedgerError.
    """
    groups = ledger.groups(selection, limit=limit)
    facts = ledger.group_facts.of((one.name for one in groups), selection.states)
    suggested = ledger.suggestions.of((one.fingerprint, one.error_type, one.kind, one.message) for one in groups)
    return [KnownGroup(one, facts[one.name], suggested.get((one.fingerprint, one.error_type))) for one in groups]
