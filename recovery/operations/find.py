"""`find`: the first half of every operation. Selects dead letters, in the DLQ and stored, and reports how much was seen."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Facts, Filter, Ids, facts_of
from recovery.operations.dead_letters.scan import INVISIBLE_S, MAX_SEEN, Scan, scan
from recovery.operations.dead_letters.short_ids import PartlyReadError, whole, whole_group
from recovery.operations.dead_letters.stored import stored_all, stored_named, stored_open
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.records.archive import ArchivedDeadLetter, read_all
from recovery.operations.records.holders import register_holder
from recovery.operations.transfer.claims import Claims
from worker.core.audit import Run
from worker.core.base.errors import StoreError
from worker.core.s3.state import ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX, State
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.stored_dead_letter import StoredDeadLetter
from worker.core.sqs.visibility import VisibilityExtender


@dataclass(frozen=True, slots=True)
class FindRequest:
    """Which dead letters to select, and how many at most."""

    which: Ids | Filter
    at_most: int | None = None

    def as_json(self) -> dict[str, object]:
        """The request as stored in the audit."""
        asked = self.which.as_json()
        return asked if isinstance(self.which, Ids) else {**asked, "max_messages": self.at_most}


@dataclass(frozen=True, slots=True)
class Found:
    """The selected dead letters, and how much of the queue was seen."""

    facts: tuple[Facts, ...]
    scan: Scan
    missing: tuple[str, ...] = ()
    """Requested ids that were not seen."""

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The selected dead letters without their facts."""
        return [one.dead_letter for one in self.facts]


@contextmanager
def claiming(clients: DlqClients, run: Run) -> Iterator[Claims]:
    """Within this context, a run can claim dead letters; on exit, also after an error, its claims end."""
    extender = VisibilityExtender(clients.dlq, visibility_s=INVISIBLE_S)
    claims = Claims(clients.dlq, clients.state, run, extender, clients.objects.clock)
    with register_holder(clients.state, run), claims.running():
        yield claims


def find(
    clients: DlqClients,
    claims: Claims,
    request: FindRequest,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Found:
    """Read the DLQ and `dead-letters/`. Selected messages of the DLQ are kept invisible, the others are released.

    `on_progress` reports the number of messages seen. Once `stop` is set, returns what was found so far. If the state bucket
    cannot be read, the result says so, or, for the beginning of an id, PartlyReadError. Raises QueueError and AmbiguousIdError or
    AmbiguousGroupError.
    """
    stored = _Stored(clients, stop)
    which = request.which
    if isinstance(which, Ids):
        by = _find_beginnings if which.beginnings else _find_ids
        seen, in_dlq, found = by(clients, claims, which, stored, stop, on_progress)
        facts = _without_copies(claims, in_dlq, found)
        missing = which.missing_from(name for one in facts for name in one.dead_letter.names)
    else:
        at_most = request.at_most or MAX_SEEN
        seen, in_dlq = _in_dlq(clients, claims, which, stop, on_progress, at_most=at_most)
        facts = _without_copies(claims, in_dlq, stored.matching(which, at_most - len(in_dlq)))
        whole_group(which, facts)
        missing = ()
    copies = [copy for one in facts for copy in claims.copies.get(one.dead_letter.id, ())]
    claims.extender.release_all_but([*(one.dead_letter for one in facts), *copies])
    return Found(tuple(facts), replace(seen, stored=stored.count, stored_problem=stored.problem), missing)


def _find_ids(
    clients: DlqClients, claims: Claims, which: Ids, stored: "_Stored", stop: threading.Event, on_progress: OnProgress
) -> tuple[Scan, list[Facts], list[Facts]]:
    """A stored dead letter is fetched by its own id. Only for what is missing then, the DLQ is read, and then all records.

    What only a failure record in the DLQ says comes last, because anyone can forge it.
    """
    found = stored.named(which.names)
    missing = _missing(which.names, found)
    if not missing:
        return Scan(clients.dlq.attributes(), ended_early=True), [], found
    seen, in_dlq = _in_dlq(clients, claims, Ids(missing), stop, on_progress)
    nobodys = missing.difference(one.dead_letter.id for one in in_dlq)
    found += stored.known_as(Ids(nobodys)) if nobodys else []
    return seen, _best(in_dlq, _missing(missing, found)), found


def _find_beginnings(
    clients: DlqClients, claims: Claims, which: Ids, stored: "_Stored", stop: threading.Event, on_progress: OnProgress
) -> tuple[Scan, list[Facts], list[Facts]]:
    """As `_find_ids`, where the beginning of an id is given: it may be that of any dead letter, so all are read."""
    seen, in_dlq = _in_dlq(clients, claims, which, stop, on_progress)
    held = stored.known_as(which)
    if unread := stored.problem or _unread(seen, stop):
        raise PartlyReadError(which.beginnings, unread)
    names = whole(which, [one.dead_letter for one in (*in_dlq, *held)]).names
    found = _best(held, names)
    copied = frozenset[str]().union(*(one.dead_letter.known_as for one in found))
    copies = [one for one in in_dlq if one.dead_letter.id in copied]
    return seen, copies + _best(in_dlq, _missing(names, found)), found


def _unread(seen: Scan, stop: threading.Event) -> str:
    """Why messages of the DLQ that could be received were not read; empty if all were, or if the command is to end."""
    return f"only {seen.seen:,} messages of the DLQ were read" if seen.seen >= MAX_SEEN and not stop.is_set() else ""


def _missing(names: frozenset[str], found: list[Facts]) -> frozenset[str]:
    return names.difference(*(one.dead_letter.names for one in found))


def _best(found: list[Facts], names: frozenset[str]) -> list[Facts]:
    """Those whose own id was asked for; and for the ids that are nobody's own, those that had them elsewhere.

    Such another id is only what a failure record says, which anyone can forge.
    """
    own = [one for one in found if one.dead_letter.id in names]
    others = names - {one.dead_letter.id for one in own}
    return own + [one for one in found if one not in own and one.dead_letter.names & others]


def _in_dlq(
    clients: DlqClients, claims: Claims, which: Ids | Filter, stop: threading.Event, on_progress: OnProgress, *,
    at_most: int = MAX_SEEN,
) -> tuple[Scan, list[Facts]]:  # fmt: skip
    found: dict[str, Facts] = {}
    own_ids = set(which.names) if isinstance(which, Ids) and not which.beginnings else {""}

    def wanted(dead_letter: DeadLetter) -> bool:
        facts = facts_of(dead_letter, clients.types)
        is_wanted = which.wants(facts)
        if is_wanted:
            found[dead_letter.id] = facts
            own_ids.discard(dead_letter.id)
        return is_wanted

    seen = scan(
        clients.dlq,
        claims.extender,
        stop=stop,
        wanted=wanted,
        at_most=at_most,
        is_enough=lambda: not own_ids,
        on_seen=lambda count: on_progress(Progress(count)),
    )
    return seen, [found[dead_letter.id].of(dead_letter) for dead_letter in seen.dead_letters]


class _Stored:
    """The stored dead letters of one `find`: how many there are, or why they cannot be read."""

    def __init__(self, clients: DlqClients, stop: threading.Event) -> None:
        self._clients = clients
        self._stop = stop
        self.count = 0
        self.problem = ""

    def named(self, ids: frozenset[str]) -> list[Facts]:
        """Those with these ids of their own, whatever their state."""
        return self._facts(lambda state: stored_named(state, ids), lambda one: one.dead_letter.id in ids)

    def known_as(self, ids: Ids) -> list[Facts]:
        """Those that have these ids, or had them elsewhere, whatever their state."""
        return self._facts(stored_all, ids.wants)

    def matching(self, which: Filter, at_most: int) -> list[Facts]:
        """Those that can be acted upon and match a filter."""
        now_ms = self._clients.objects.clock.now_ms()
        return self._facts(lambda state: stored_open(state, now_ms=now_ms), which.wants, at_most)

    def _facts(
        self,
        read: Callable[[State], Iterator[StoredDeadLetter]],
        wants: Callable[[Facts], bool],
        at_most: int = MAX_SEEN,
    ) -> list[Facts]:
        found: list[Facts] = []
        if self._clients.state is None:
            return found
        try:
            for stored in read(self._clients.state):
                if len(found) >= at_most or self._stop.is_set():
                    break
                self.count += 1
                facts = facts_of(stored.dead_letter, self._clients.types)
                if wants(facts):
                    found.append(replace(facts, stored=stored))
        except StoreError as error:
            self.problem = f"{DEAD_LETTERS_PREFIX} could not be read: {error}"
        return found


def _without_copies(claims: Claims, in_dlq: list[Facts], stored: list[Facts]) -> list[Facts]:
    """All of them; a message that is stored already, and only not yet deleted from the DLQ, belongs to the stored one."""
    by_message_id = {name: one.dead_letter.id for one in stored for name in one.dead_letter.known_as}
    rest: list[Facts] = []
    for facts in in_dlq:
        stored_id = by_message_id.get(facts.dead_letter.id)
        if stored_id is None:
            rest.append(facts)
        else:
            claims.copies.setdefault(stored_id, []).append(facts.dead_letter)
    return rest + stored


@dataclass(frozen=True, slots=True)
class FoundArchived:
    """The selected archived dead letters."""

    entries: tuple[tuple[ArchivedDeadLetter, Facts], ...]
    is_all: bool
    """Whether the whole archive was read."""


def find_archived(
    clients: DlqClients, state: State, which: Filter, *, at_most: int, stop: threading.Event
) -> FoundArchived:
    """Select dead letters in `dlq-archive/`. Raises StoreError and AmbiguousGroupError."""
    found: list[tuple[ArchivedDeadLetter, Facts]] = []
    is_all = False
    for entry in read_all(state, state.keys(ARCHIVE_PREFIX)):
        if stop.is_set() or len(found) == at_most:
            break
        facts = facts_of(entry.dead_letter, clients.types)
        if which.wants(facts):
            found.append((entry, facts))
    else:
        is_all = True
    whole_group(which, (facts for _, facts in found))
    return FoundArchived(tuple(found), is_all)
