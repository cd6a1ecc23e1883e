"""All verbs, by name, and which of them need what."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from recovery.ledger.operation_items import Result
from recovery.ledger.refusals import SAYING, SCHEDULING, SENDING, Limits, Verb
from recovery.ledger.rows import Row, State
from recovery.manager.acting import recovering, removing, saying, scheduling, sending
from recovery.manager.acting.acts import Act, Acted, Options, World, read_records
from recovery.operations.abandon import ArchivedAs
from recovery.operations.clients import attributes_of
from recovery.operations.dead_letters.facts import MAX_REDRIVES
from recovery.operations.dead_letters.message_types import S3_EVENT, UNKNOWN
from recovery.operations.records.archive import ArchivedDeadLetter
from recovery.operations.transfer.sending import is_fifo
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.audit import Run
from worker.core.base.errors import WorkerError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.sqs.queue import MAX_MESSAGE_BYTES, Queue
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

COMMAND = "dlq-manager"
_REMOVING = {Verb.ABANDON: ArchivedAs.ABANDONED, Verb.DELETE: ArchivedAs.DELETED}
PAUSES_WITH_FLEET = frozenset({Verb.REDRIVE, Verb.RECOVER, Verb.RESTORE})


def waits_for_fleet(verb: Verb, options: Options) -> bool:
    """Whether this is not done while the fleet is paused: it causes work, and nobody wants it all the same."""
    return verb in PAUSES_WITH_FLEET and not options.get("while_paused")


@dataclass(frozen=True, slots=True)
class Verbs:
    """What can be done with dead letters. May be used from any thread."""

    world: World
    settings: Settings
    connect: Callable[[], Clients]
    """The clients that `recover` needs."""
    stop: threading.Event

    def run(self, verb: Verb, *, name: str, by: str) -> Run:
        """A run of a verb, under this name."""
        return Run(name, COMMAND, verb.value, by)

    @contextmanager
    def doing(self, verb: Verb, run: Run, options: Options) -> Iterator[Act]:
        """What acts on a few dead letters; its results say nothing that is hidden. Raises WorkerError where it must not begin."""
        with self._doing(verb, run, options) as act:
            yield partial(self._hiding, act, verb) if self.world.rows.redactor.is_active else act

    def _hiding(self, act: Act, verb: Verb, rows: Sequence[Row]) -> list[Acted]:
        """Act, and hide in each result what is hidden in its dead letter, which is read before: it may be gone afterwards."""
        found: Mapping[str, StoredDeadLetter | ArchivedDeadLetter | None]
        if verb is Verb.RESTORE:
            found = {row.identity: sending.archived(self.world, row) for row in rows}
        else:
            found = read_records(self.world, rows)
        text = self.world.rows.text
        return [
            replace(one, result=text(known.dead_letter, one.result)) if (known := found[one.row.identity]) else one
            for one in act(rows)
        ]

    @contextmanager
    def _doing(self, verb: Verb, run: Run, options: Options) -> Iterator[Act]:
        world = self.world
        if verb is Verb.RECOVER:
            with recovering.recovering(world, self.settings, self.connect, run, options, self.stop) as act:
                yield act
        elif verb in SAYING:
            yield lambda rows: saying.say(world, rows, run, options, verb=verb)
        elif verb in SCHEDULING:
            yield lambda rows: scheduling.reschedule(world, rows, run, options, verb=verb)
        elif verb in _REMOVING:
            yield lambda rows: removing.remove(world, rows, run, options, archived_as=_REMOVING[verb])
        else:
            yield self._send(verb, run, options)

    def _send(self, verb: Verb, run: Run, options: Options) -> Act:
        """Send to one queue, which is looked at once; whether the fleet is paused, each time."""
        target = sending.target_of(self.world, options)
        send = sending.restore if verb is Verb.RESTORE else sending.redrive

        def act(rows: Sequence[Row]) -> list[Acted]:
            self.check(verb, options)
            return send(self.world, target, rows, run)

        return act

    def check(self, verb: Verb, options: Options) -> None:
        """Raises PausedError while the fleet is paused, if the verb causes work."""
        if waits_for_fleet(verb, options):
            refuse_while_paused(self.world.state)

    def settled(self, verb: Verb, options: Options) -> Options:
        """The options as they are to be carried out: what is relative to now becomes a moment, on S3's clock."""
        if verb is not Verb.SCHEDULE:
            return options
        return scheduling.with_moment(options, now_ms=self.world.clients.objects.clock.now_ms())

    def answers(self, verb: Verb, options: Options) -> bool:
        """Whether what a verb needs can be asked at all: the state bucket, and the queue if it sends."""
        try:
            self.world.state.pause_record()
            if verb in SENDING:
                attributes_of(self._queue(options))
        except WorkerError:
            return False
        return True

    def is_ordered(self, verb: Verb, options: Options) -> bool:
        """Whether dead letters must be sent in their order: to a FIFO queue."""
        return verb in SENDING and is_fifo(self._queue(options))

    def limits(self, verb: Verb, options: Options) -> Limits:
        """What a plan compares rows with. Raises WorkerError where the queue does not answer."""
        max_bytes = MAX_MESSAGE_BYTES
        if verb is Verb.REDRIVE:
            attributes = attributes_of(self._queue(options))
            max_bytes = int(attributes.get("MaximumMessageSize", MAX_MESSAGE_BYTES))
        force = bool(options.get("force"))
        return Limits(MAX_REDRIVES, max_bytes, force=force, own_types=(S3_EVENT, UNKNOWN))

    def _queue(self, options: Options) -> Queue:
        to = options.get("to")
        return self.world.queue(to) if to else self.world.source

    def what_became(self, verb: Verb, rows: Sequence[Row], run: Run, options: Options) -> list[Acted]:
        """What a run that was killed has done with these, as their records say; WAITING where nothing says so.

        Raises StoreError.
        """
        if verb is Verb.RESTORE:
            return [self._restored(row, run) for row in rows]
        records = read_records(self.world, rows)
        return [self._became(verb, row, records[row.identity], run, options) for row in rows]

    def _became(self, verb: Verb, row: Row, record: StoredDeadLetter | None, run: Run, options: Options) -> Acted:
        if record is None:
            removed = verb in _REMOVING or verb is Verb.RECOVER
            fields, reason = (
                ({"state": State.ABANDONED}, removing.reason_in(options)) if verb in _REMOVING else ({}, "")
            )
            return Acted(row, Result.DONE if removed else Result.WAITING, sending.BEFORE, fields, reason)
        before = sending.sent_before(self.world, row, record, run) if verb is Verb.REDRIVE else None
        return before or Acted(row, Result.WAITING, in_doubt=verb in SENDING)

    def _restored(self, row: Row, run: Run) -> Acted:
        entry = sending.archived(self.world, row)
        mark = entry.restored if entry is not None else None
        is_done = mark is not None and mark.done and mark.run == run.name
        return Acted(row, Result.DONE, sending.BEFORE) if is_done else Acted(row, Result.WAITING, in_doubt=True)
