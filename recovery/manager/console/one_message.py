"""What the page of one dead letter says, gathered: what the ledger knows, what may be done, and the commands for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recovery.ledger.refusals import Limits, Verb
from recovery.ledger.rows import Event, Row
from recovery.ledger.suggestions import Suggestion
from recovery.manager.acting.copying import why_not_copied
from recovery.manager.console.addresses import group_path
from recovery.manager.console.commands import dlq_command
from recovery.manager.roles import Role
from recovery.manager.web.principal import Principal
from recovery.manager.web.service import Service
from recovery.operations.dead_letters.facts import MAX_REDRIVES
from recovery.operations.dead_letters.message_types import S3_EVENT, UNKNOWN
from worker.core.base.classify import FailureKind
from worker.core.sqs.queue import MAX_MESSAGE_BYTES

MAX_EVENTS = 200
"""Of the history that are shown: the latest."""
MAX_ARRIVALS = 50
ACTING = (Verb.REDRIVE, Verb.RECOVER, Verb.UNSCHEDULE, Verb.SCHEDULE, Verb.ABANDON, Verb.RESTORE, Verb.DELETE)
"""What is done by way of a plan, in the order in which it is offered."""
_NEEDS_FORCE = frozenset({"redriven too often", "its failure record may not fit"})
"""Refusals that `force` overrides."""
_PLAIN = frozenset({"ended", "missing", "not in the archive", "not scheduled"})
"""Refusals that the state of a dead letter says already."""

_LIMITS = Limits(MAX_REDRIVES, MAX_MESSAGE_BYTES, own_types=(S3_EVENT, UNKNOWN))
"""What is compared without asking the queue, whose limit the plan asks for."""


@dataclass(frozen=True, slots=True)
class Action:
    """What may be done with a dead letter now."""

    verb: Verb
    command: str | None
    """The same in a terminal; None if `dlq` has no such verb."""
    needs_force: bool = False


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of a history: an arrival in the dead-letter queue, or an event."""

    at_ms: int
    message_id: str = ""
    """Under which it came; empty for an event."""
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class OneMessage:
    """One dead letter for its page."""

    row: Row
    history: Sequence[Happened]
    """The latest first."""
    has_more_events: bool
    suggestion: Suggestion | None
    actions: tuple[Action, ...]
    """What may be done by way of a plan."""
    refused: tuple[tuple[Verb, str], ...]
    """What is not offered, with the reason that a plan would give, unless its state says it already."""
    said: frozenset[Verb]
    """What may be said about it: hold, release, note, assign."""
    why_not_copied: str
    """Why no edited copy of it is sent; empty if one may be."""

    @property
    def group_path(self) -> str:
        """Where its group is."""
        return group_path(self.row)

    @property
    def is_sending_first(self) -> bool:
        """Whether sending it again is what stands out: not where it is at fault itself, nor where it came back from a redrive."""
        return self.row.kind is not FailureKind.USER_ERROR and not self.row.fault and not self.row.redrives

    def may(self, verb: Verb) -> bool:
        """Whether something may be said."""
        return verb in self.said


def one_message(service: Service, principal: Principal, row: Row) -> OneMessage:
    """What its page says to whoever asks. Raises LedgerError."""
    ledger = service.ledger
    events = ledger.particular.latest_events(row.identity, limit=MAX_EVENTS + 1)
    suggested = ledger.suggestions.of([(row.fingerprint, row.error_type, row.kind, row.message)])
    refused = ledger.particular.refusals(row.identity, _LIMITS)
    actions = _actions(refused, principal, row.identity)
    offered = {one.verb for one in actions}
    told = tuple(
        (verb, why) for verb in ACTING if verb not in offered and (why := refused.get(verb)) and why not in _PLAIN
    )
    may_act = principal.role.includes(Role.OPERATOR)
    said = {verb for verb in (Verb.HOLD, Verb.RELEASE, Verb.NOTE, Verb.ASSIGN) if may_act and refused.get(verb) is None}
    if row.hold is not None:
        said.discard(Verb.HOLD)
    arrivals = list(ledger.messages_of(row.identity))[-MAX_ARRIVALS:]
    return OneMessage(
        row, _history(arrivals, events[:MAX_EVENTS]), len(events) > MAX_EVENTS,
        suggested.get((row.fingerprint, row.error_type)), actions, told, frozenset(said), why_not_copied(row),
    )  # fmt: skip


def _history(arrivals: Sequence[tuple[str, int]], events: Sequence[Event]) -> list[Happened]:
    """Both together, the latest first; of one moment, what was done before what came. `events`: the latest first."""
    lines = [Happened(event.at_ms, event=event) for event in events]
    lines += [Happened(at_ms, message_id) for message_id, at_ms in reversed(arrivals)]
    return sorted(lines, key=lambda one: -one.at_ms)


def _actions(refused: Mapping[Verb, str | None], principal: Principal, identity: str) -> tuple[Action, ...]:
    """What somebody may do with a dead letter in its state, by the rule of plans."""
    if not principal.role.includes(Role.OPERATOR):
        return ()
    found = []
    for verb in ACTING:
        if verb is Verb.DELETE and not principal.role.includes(Role.ADMIN):
            continue
        why = refused.get(verb)
        force = why in _NEEDS_FORCE
        if why is None or force:
            found.append(Action(verb, dlq_command(verb, identity, force=force), force))
    return tuple(found)
