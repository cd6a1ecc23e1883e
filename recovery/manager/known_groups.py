"""Groups with all that is known of them, and as they were at the moment when somebody looked at them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from recovery.ledger.group_counters import Name
from recovery.ledger.group_facts import Facts
from recovery.ledger.groups import LARGEST, MAX_GROUPS, Group, GroupOrder
from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import WAITING, State
from recovery.ledger.selection import Selection, instant, parse_query, term
from recovery.ledger.suggestions import Suggestion

NO_FINGERPRINT = "-"
"""In the address of a group without one, or with one that cannot stand there."""
_NOT_IN_PATH = frozenset({NO_FINGERPRINT, ".", ".."})
"""Fingerprints that anyone can forge, and of which a browser takes the last two out of a path, also percent-encoded."""
IN_FLIGHT_MS = 60_000
"""What is dated so long ago is in the ledger by now: intake dates it, stores it in S3, and then writes its row."""


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """A group, its facts, and what earlier dead letters of it suggest to do."""

    group: Group
    facts: Facts
    suggestion: Suggestion | None

    @property
    def query(self) -> str:
        """The filter that selects its dead letters."""
        return query_of(self.group.name)


@dataclass(frozen=True, slots=True)
class GroupAt:
    """A group as it was at a moment, and what has joined it since."""

    known: KnownGroup
    as_of_ms: int
    count: int
    """How many dead letters an action has: those that had come by then."""
    joined: int
    """How many have come since, up to 10,000; one more says that there are more."""

    @property
    def query(self) -> str:
        """The filter that selects what had come by then."""
        return f"{self.known.query} {term('until', instant(self.as_of_ms))}"


def groups_with_facts(
    ledger: Ledger, selection: Selection, *, limit: int, offset: int = 0, order: GroupOrder = LARGEST
) -> list[KnownGroup]:
    """The first groups of a selection in an order, after `offset` others; facts are of whole groups, in the selection's states.

    Raises LedgerError.
    """
    groups = ledger.groups(selection, limit=offset + limit, order=order)[offset:]
    facts = ledger.group_facts.of((one.name for one in groups), selection.states)
    suggested = ledger.suggestions.of((one.fingerprint, one.error_type, one.kind, one.message) for one in groups)
    return [KnownGroup(one, facts[one.name], suggested.get((one.fingerprint, one.error_type))) for one in groups]


def groups_of(
    ledger: Ledger, fingerprint: str, *, error_type: str | None, kind: str | None, states: tuple[State, ...] = WAITING
) -> list[KnownGroup]:
    """The groups that have exactly this fingerprint (empty: none), error type and kind; None: any. Raises LedgerError."""
    selection = Selection(
        states=states, group=f"={fingerprint}", error_type=None if error_type is None else f"={error_type}"
    )
    found = groups_with_facts(ledger, selection, limit=MAX_GROUPS)
    return [one for one in found if error_type in {None, one.group.error_type} and kind in {None, one.group.kind.value}]


def query_of(name: Name) -> str:
    """The filter that selects the waiting dead letters of a group, and of no other that differs by a letter's case alone."""
    fingerprint, error_type, kind = name
    exact = (term(of, f"={value}" if value else "-") for of, value in (("group", fingerprint), ("error", error_type)))
    return " ".join((*exact, term("kind", kind)))


def path_of(name: Name, as_of_ms: int | None = None) -> str:
    """The address of a group's page in the console; as of a moment, if one is given."""
    fingerprint, error_type, kind = name
    moment = {} if as_of_ms is None else {"as_of": instant(as_of_ms)}
    return _path(fingerprint, {"error_type": error_type, "kind": kind} | moment)


def fingerprint_path(fingerprint: str) -> str:
    """The address of the group that has a fingerprint, or of the choice between those that do; shorter than their whole names."""
    return _path(fingerprint, {})


def _path(fingerprint: str, asked: Mapping[str, str]) -> str:
    is_plain = fingerprint not in _NOT_IN_PATH
    wanted = {**asked} if is_plain else {**asked, "fingerprint": fingerprint}
    place = quote(fingerprint, safe="") if is_plain and fingerprint else NO_FINGERPRINT
    return f"/console/groups/{place}" + (f"?{urlencode(wanted)}" if wanted else "")


def moment_of(last_seen_ms: int, now_ms: int) -> int:
    """The moment as of which dead letters are shown that were read at `now_ms`, on S3's clock: their last arrival, or a minute ago.

    All of them had come by then, and hardly any other is still to come that will be dated before.
    """
    return max(last_seen_ms, now_ms - IN_FLIGHT_MS)


def group_at(ledger: Ledger, known: KnownGroup, as_of_ms: int, *, waits: bool = True) -> GroupAt:
    """A group as it was at a moment; `waits`: whether it has dead letters that wait. Raises LedgerError."""
    group = known.group
    if not waits:
        return GroupAt(known, as_of_ms, 0, 0)
    if group.last_seen_ms <= as_of_ms:
        return GroupAt(known, as_of_ms, group.count, 0)
    selection = parse_query(known.query)
    joined = ledger.count(replace(selection, seen_after_ms=as_of_ms))
    count = ledger.count(replace(selection, seen_until_ms=as_of_ms), at_most=group.count)
    return GroupAt(known, as_of_ms, count, joined)
