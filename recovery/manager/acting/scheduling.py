"""`schedule` and `unschedule`: change when the manager sends dead letters again by itself, in their records first.

What is scheduled is sent as every retry is: once its time has come, while all is healthy, at the rate of retries.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.ledger.operation_items import Result
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Row
from recovery.manager.acting.acts import Acted, NotPossibleError, Options, World, change_each
from recovery.manager.schedule import scheduled_for, unscheduled, without_retries
from recovery.operations.dead_letters.message_types import S3_EVENT
from recovery.operations.dead_letters.stored import why_not
from worker.core.audit import AuditEvent, Run, record
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.stored_dead_letter import StoredDeadLetter, StoredState

MAX_AHEAD_S = 14 * 86_400
"""As long as a queue of SQS keeps a message at most: what is to wait longer is better held, with a reason."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def with_moment(options: Options, *, now_ms: int) -> dict[str, Any]:
    """The options of `schedule` with the moment `at` in place of `in_s`, seconds from now.

    So it is the same moment for all, whenever an operation gets to them, and however often.
    """
    at = _EPOCH + timedelta(milliseconds=now_ms, seconds=options["in_s"])
    kept = {name: value for name, value in options.items() if name != "in_s"}
    return {**kept, "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def moment_ms(options: Options) -> int:
    """The moment `at` in ms since the epoch. Raises ValueError where it is none."""
    return (datetime.fromisoformat(str(options.get("at"))) - _EPOCH) // timedelta(milliseconds=1)


def reschedule(world: World, rows: Sequence[Row], run: Run, options: Options, *, verb: Verb) -> list[Acted]:
    """Change records; the caller changes the rows."""
    at_ms = moment_ms(options) if verb is Verb.SCHEDULE else None

    def wanted(stored: StoredDeadLetter) -> StoredDeadLetter:
        if why := _why_not(world, stored, run, verb):
            raise NotPossibleError(why)
        return unscheduled(stored) if at_ms is None else scheduled_for(stored, at_ms, by=run.by)

    acted = [_told(one, options) if at_ms is not None else one for one in change_each(world, rows, wanted)]
    done = {one.row.identity: verb.value for one in acted if one.state is Result.DONE}
    if done:
        details = {} if at_ms is None else {"retry_at": options["at"]}
        record(world.state, AuditEvent(run.action, run.name, run.by, tuple(done), done, details))
    return acted


def _why_not(world: World, stored: StoredDeadLetter, run: Run, verb: Verb) -> str:
    """Why the schedule of a record must not be changed; empty if it may. A held one can be unscheduled: nothing is done then."""
    now_ms = world.clients.objects.clock.now_ms()
    if verb is Verb.UNSCHEDULE:
        stored = replace(stored, hold=None)
    if why := why_not(stored, now_ms=now_ms, run=run.name):
        return why
    if stored.state is not StoredState.OPEN:
        return "it was sent already"
    return _why_not_sent(world, stored.dead_letter) if verb is Verb.SCHEDULE else ""


def _why_not_sent(world: World, dead_letter: DeadLetter) -> str:
    """What is known already of why it would not be sent once its time has come."""
    types = world.rows.types
    if fault := types.fault(dead_letter.body):
        return f"it must not be sent as it is: {fault}"
    if dead_letter.source_queue.endswith(".fifo"):
        return "it is of a FIFO queue, whose order automatic retries do not keep: redrive it"
    if not dead_letter.source_queue and types.of(dead_letter.body) != S3_EVENT:
        return "its queue is not known: redrive it to one"
    return ""


def _told(acted: Acted, options: Options) -> Acted:
    """What was scheduled, with the moment; a finding that nothing sends it by itself is not true any more."""
    if acted.state is not Result.DONE:
        return acted
    finding = without_retries(acted.row.finding)
    more = {} if finding == acted.row.finding else {"finding": finding}
    return replace(acted, result=f"at {options['at']}", fields={**acted.fields, **more})
