"""What the screens of groups say, gathered: the largest groups, and one of them as it was when somebody looked at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.groups import LARGEST, MAX_GROUPS, Group, GroupOrder, GroupSort
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import WAITING, Row, State
from recovery.ledger.selection import Selection, instant, parse_query
from recovery.ledger.suggestions import Advice
from recovery.manager import known_groups
from recovery.manager.console.filters import FilterBox
from recovery.manager.console.sparklines import Sparkline, sparkline
from recovery.manager.known_groups import (
    GroupAt,
    KnownGroup,
    group_at,
    groups_of,
    groups_with_facts,
    moment_of,
)
from recovery.manager.roles import Role
from recovery.manager.web.principal import Principal
from recovery.manager.web.problems import not_found
from recovery.manager.web.service import Service
from recovery.operations.dead_letters.message_types import S3_EVENT, UNKNOWN
from worker.core.base.classify import FailureKind

PAGE = 30
"""Groups of one page; a page has at most 100 KB."""
MAX_PAGE = MAX_GROUPS // PAGE
SAMPLES = 5
_NO_GROUP = "there is no such group: none of its dead letters is in the ledger; those that ended are forgotten"
_RIGHT_MOMENT = "a moment in UTC, such as 2026-11-01T09:30:00.000Z"
_SUGGESTED = {Advice.REDRIVE: Verb.REDRIVE, Advice.ABANDON: Verb.ABANDON}


@dataclass(frozen=True, slots=True)
class Entry:
    """A group in the list."""

    known: KnownGroup
    spark: Sparkline
    path: str
    """Of its page, as of when the list was made."""


@dataclass(frozen=True, slots=True)
class GroupsView:
    """The list in its order."""

    entries: Sequence[Entry]
    box: FilterBox
    order: GroupOrder
    page: int
    """From 1 on."""
    has_more: bool

    def path(self, page: int) -> str:
        """The address of another page of it."""
        return f"/console/groups?{urlencode(self._asked(self.order) | {'page': str(page)})}"

    def turned(self, sort: str) -> str:
        """The list in another order, the largest or the latest first; the other way round where it is in that order already."""
        is_down = self.order == GroupOrder(GroupSort(sort))
        return f"/console/groups?{urlencode(self._asked(GroupOrder(GroupSort(sort), not is_down)))}"

    def _asked(self, order: GroupOrder) -> dict[str, str]:
        return ({"q": self.box.query} if self.box.query else {}) | dict(parameters_of(order))


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group."""

    at: GroupAt
    spark: Sparkline
    days: Sequence[int]
    """Arrivals of each 24 hours; the last ends with the present quarter of a day."""
    samples: Sequence[Row]
    """The latest of those that had come by the moment."""
    verbs: Sequence[Verb]
    """What may be done with them, by whoever looks."""
    suggested: Verb | None
    waits: bool
    """Whether any of its dead letters is open or scheduled."""

    @property
    def is_redrive_first(self) -> bool:
        """Whether a redrive is what stands out: not where they are at fault themselves, nor where all came back from the last."""
        if self.suggested is not None:
            return self.suggested is Verb.REDRIVE
        last = self.at.known.facts.redrive
        all_back = last is not None and last.returned >= last.sent > 0
        return (
            self.at.known.group.kind is not FailureKind.USER_ERROR
            and not all_back
            and any(not one.fault for one in self.samples)
        )

    @property
    def path(self) -> str:
        """Its address, as of the moment."""
        return path_of(self.at.known.group, self.at.as_of_ms)

    @property
    def fresh_path(self) -> str:
        """Its address as of now."""
        return path_of(self.at.known.group)

    @property
    def joined_query(self) -> str:
        """The filter for what has joined since."""
        return f"{self.at.known.query} since:{instant(self.at.as_of_ms)}"


def parameters_of(order: GroupOrder) -> tuple[tuple[str, str], ...]:
    """An order in an address; the usual one needs none."""
    return () if order == LARGEST else (("sort", order.sort.value), ("order", "desc" if order.descending else "asc"))


def groups_view(
    service: Service, box: FilterBox, selection: Selection, page: int, order: GroupOrder = LARGEST
) -> GroupsView:
    """A page of the groups of a selection. Raises LedgerError."""
    now_ms = clock_of(service)
    found = groups_with_facts(service.ledger, selection, offset=(page - 1) * PAGE, limit=PAGE + 1, order=order)
    return GroupsView([entry(one, now_ms) for one in found[:PAGE]], box, order, page, len(found) > PAGE)


def entry(known: KnownGroup, now_ms: int) -> Entry:
    """A group as a list shows it that was read at `now_ms`, on S3's clock."""
    return Entry(known, sparkline(known.facts.trend), path_of(known.group, moment_of(known.group.last_seen_ms, now_ms)))


def clock_of(service: Service) -> int:
    """The present on S3's clock, by which arrivals are dated, in ms since the epoch."""
    return service.verbs.world.clients.objects.clock.now_ms()


def found_groups(service: Service, fingerprint: str, error_type: str | None, kind: str | None) -> list[KnownGroup]:
    """The groups that an address names: those that wait, else those that did. Raises HTTPException 404, and LedgerError."""
    if "\0" in fingerprint + (error_type or ""):
        raise not_found(_NO_GROUP)
    for states in (WAITING, tuple(State)):
        found = groups_of(service.ledger, fingerprint, error_type=error_type, kind=kind, states=states)
        if found:
            return found
    raise not_found(_NO_GROUP)


def group_view(service: Service, principal: Principal, known: KnownGroup, as_of: str) -> GroupView:
    """A group as of a moment. Raises AskedWronglyError for a moment that is none, and LedgerError."""
    waits = service.ledger.count(parse_query(known.query), at_most=0) > 0
    at = group_at(service.ledger, known, moment_ms(as_of), waits=waits)
    trend = known.facts.trend
    samples = service.ledger.page(parse_query(at.query), limit=SAMPLES).rows if at.count else []
    verbs = _verbs(at, samples) if principal.role.includes(Role.OPERATOR) else ()
    suggestion = known.suggestion
    suggested = _SUGGESTED[suggestion.advice] if suggestion is not None else None
    return GroupView(
        at, sparkline(trend), [sum(trend[start : start + 4]) for start in range(0, len(trend), 4)], samples, verbs,
        suggested if suggested in verbs else None, waits,
    )  # fmt: skip


def moment_ms(as_of: str) -> int:
    """The moment in an address. Raises AskedWronglyError."""
    try:
        found: Selection = parse_query(f'until:"{as_of}"') if '"' not in as_of else Selection()
    except AskedWronglyError:
        found = Selection()
    if found.seen_until_ms is None:
        raise AskedWronglyError("as_of", as_of[:80], _RIGHT_MOMENT)
    return found.seen_until_ms


def path_of(group: Group, as_of_ms: int | None = None) -> str:
    """The address of a group's page; as of a moment, if one is given."""
    return known_groups.path_of(group.name, as_of_ms)


def _verbs(at: GroupAt, samples: Sequence[Row]) -> Sequence[Verb]:
    """What a plan would not refuse for all of them, in the order in which it is offered."""
    if not samples:
        return ()
    hold = at.known.facts.hold
    held = hold.count if hold is not None else 0
    found: list[Verb] = []
    if held < at.known.group.count:
        found.append(Verb.REDRIVE)
        if any(one.type in {S3_EVENT, UNKNOWN} for one in samples):
            found.append(Verb.RECOVER)
        found += [Verb.SCHEDULE, Verb.ABANDON, Verb.HOLD]
    if held:
        found.append(Verb.RELEASE)
    return (*found, Verb.NOTE, Verb.ASSIGN)
