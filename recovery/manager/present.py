"""What is known of a dead letter at this moment: what S3 and the index hold of its objects, and what recovery would do with it.

As `dlq inspect` says it, but within LOOK_S: what has not answered by then is said, and what recovery would do is asked on, so
that the next question finds the answer.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from recovery.ledger.rows import IN_ARCHIVE, Row
from recovery.manager.bounded import NoAnswerError, answer
from recovery.manager.records import RowMaker
from recovery.manager.sources import Sources
from recovery.operations.advice import Advice, Outlook, advise
from recovery.operations.dead_letters.copies import Copy, copies_of, original_of
from recovery.operations.dead_letters.facts import Facts, facts_of
from recovery.operations.dead_letters.stored import why_not
from recovery.operations.engine import Verdict
from recovery.operations.inspect import is_paused
from recovery.operations.present import InIndex, InS3, ObjectName, in_index, in_s3, is_unreadable
from recovery.operations.recovering.outlook import sentence
from recovery.operations.transfer.sending import Rules
from worker.core.base.errors import StoreError, WorkerError
from worker.core.indexing.pipeline import is_current
from worker.core.s3.events import ObjectRef
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

LOOK_S = 8.0
"""How long S3, the index and recovery's verdict are waited for, all together."""
MAX_OBJECTS = 20
"""Of one dead letter that are looked at; an event has one, as a rule."""
KNOWN_S = 15.0
"""For how long recovery's verdict on one version of a dead letter is not asked for again."""
MAX_KNOWN = 100
LATE = "this takes longer than usual, because a file is being read; ask again"


@dataclass(frozen=True, slots=True)
class ObjectNow:
    """One object of a dead letter, in S3 and in the index. Names are as they may be shown."""

    bucket: str
    key: str
    s3: InS3
    index: InIndex
    has_changed: bool
    """Whether S3 has another etag than the event."""

    @property
    def is_indexed(self) -> bool:
        """Whether the index holds the object as it is now, with its text."""
        return is_current(self.index.document, self.s3.state)

    @property
    def is_unreadable(self) -> bool:
        """Whether the index holds the object as it is now, but by its name alone: its text could not be read."""
        return is_unreadable(self.index, self.s3)


@dataclass(frozen=True, slots=True)
class Now:
    """What is known of a dead letter at this moment."""

    at_ms: int
    """On S3's clock."""
    objects: tuple[ObjectNow, ...] = ()
    left_out: int = 0
    """Further objects, which were not looked at."""
    recovery: str = ""
    """What recovery would do, or why that is not known, in a sentence."""
    advice: Advice | None = None
    """The command that helps; None where that is not known."""
    record: StoredDeadLetter | None = None
    """Its record; None if it is gone."""
    copies: tuple[Copy, ...] = ()
    """Edited copies of it that were sent."""
    copy_of: str = ""
    """The dead letter of which it is an edited copy; empty if of none."""


def _without_record(row: Row) -> str:
    if row.state in IN_ARCHIVE:
        return f"nothing: it is {row.state.value}; the archive keeps it, until it is purged, and can restore it"
    return f"nothing: it is {row.state.value}, and has no record any more"


class Looker:
    """Looks at dead letters. May be used from any thread."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._verdicts: dict[tuple[str, int], tuple[float, Future[Verdict]]] = {}
        """Asked for lately: of each version of a dead letter, with the time in monotonic seconds."""

    def look(self, row: Row) -> Now:
        """What is known of it. Never raises: what cannot be asked is said."""
        sources, until = self._sources, time.monotonic() + LOOK_S
        now_ms = sources.clients.objects.clock.now_ms()
        try:
            stored = answer(sources.asked.start(lambda: _read(sources, row)), until=until)
        except (StoreError, NoAnswerError) as error:
            return Now(now_ms, recovery=f"its record cannot be read: {error}")
        if stored is None:
            refs = [ObjectRef(row.bucket, row.object_key)] if row.object_key and row.bucket else []
            return Now(now_ms, self._objects(refs, None, until), recovery=_without_record(row))
        return self._of_record(row, stored, now_ms, until)

    def _of_record(self, row: Row, stored: StoredDeadLetter, now_ms: int, until: float) -> Now:
        dead_letter = stored.dead_letter
        facts = facts_of(dead_letter, self._sources.clients.types)
        verdict = self._verdict(row, facts)
        objects = self._objects(facts.refs[:MAX_OBJECTS], dead_letter, until)
        recovery, advice = self._advised(facts, stored, verdict, until)
        return Now(
            now_ms, objects, max(0, len(facts.refs) - MAX_OBJECTS), recovery, advice, stored, copies_of(stored),
            original_of(dead_letter),
        )  # fmt: skip

    # -- S3 and the index --------------------------------------------------------------------------------------------

    def _objects(self, refs: Sequence[ObjectRef], of: DeadLetter | None, until: float) -> tuple[ObjectNow, ...]:
        return tuple(
            _shown(self._sources.rows, of, ref, s3, index)
            for ref, (s3, index) in zip(refs, seen(self._sources, refs, until=until), strict=True)
        )

    # -- recovery ----------------------------------------------------------------------------------------------------

    def _verdict(self, row: Row, facts: Facts) -> Future[Verdict] | None:
        """Begin to find out what recovery would do, if that is not under way, or known; None without an index to ask."""
        engine_of = self._sources.engine
        if engine_of is None:
            return None

        def examine() -> Verdict:
            with ExitStack() as stack:
                [verdict] = engine_of(stack).examine([facts.dead_letter])
                return verdict

        name, now = (row.identity, row.version), time.monotonic()
        with self._lock:
            self._verdicts = {
                one: (at, found)
                for one, (at, found) in list(self._verdicts.items())[-MAX_KNOWN:]
                if not found.done() or (now - at < KNOWN_S and found.exception() is None)
            }
            if name not in self._verdicts:
                self._verdicts[name] = now, self._sources.examined.start(examine)
            return self._verdicts[name][1]

    def _advised(
        self, facts: Facts, stored: StoredDeadLetter, verdict: Future[Verdict] | None, until: float
    ) -> tuple[str, Advice | None]:
        """What recovery would do, and the command that helps."""
        if verdict is None:
            return self._sources.why_no_index, self._advice(facts, stored, Outlook())
        try:
            found = answer(verdict, until=until)
        except NoAnswerError:
            return LATE, None
        except WorkerError as error:
            said = f"recovery cannot begin: {error}"
            advice = self._advice(facts, stored, Outlook(unavailable=str(error)))
            return self._sources.rows.text(facts.dead_letter, said), advice
        said = self._sources.rows.text(facts.dead_letter, sentence(found))
        return said, self._advice(facts, stored, Outlook(found))

    def _advice(self, facts: Facts, stored: StoredDeadLetter, outlook: Outlook) -> Advice:
        sources = self._sources
        now_ms = sources.clients.objects.clock.now_ms()
        paused = sources.asked.start(lambda: is_paused(sources.state))
        try:
            is_now = answer(paused, until=time.monotonic() + 1.0)
        except NoAnswerError:
            is_now = False
        outlook = replace(outlook, refused=why_not(stored, now_ms=now_ms), is_paused=is_now)
        rules = Rules(sources.source, {}, sources.clients.types)
        return _hidden(advise(facts, rules, sources.clients.types, outlook), sources.rows, facts.dead_letter)


def seen(sources: Sources, refs: Sequence[ObjectRef], *, until: float) -> list[tuple[InS3, InIndex]]:
    """What S3 and the index hold of objects, asked at once; in order. What has not answered at this time is said."""
    names: list[ObjectName] = [(ref.bucket, ref.key) for ref in refs]
    documents = sources.asked.start(lambda: in_index(sources.index, names, sources.why_no_index))
    objects = [sources.asked.start(partial(in_s3, sources.clients.objects, *name)) for name in names]
    found = [_s3_answer(one, until) for one in objects]
    try:
        known = answer(documents, until=until)
    except WorkerError as error:
        known = dict.fromkeys(names, InIndex(problem=str(error)))
    return [(s3, known[name]) for name, s3 in zip(names, found, strict=True)]


def _s3_answer(future: Future[InS3], until: float) -> InS3:
    try:
        return answer(future, until=until)
    except WorkerError as error:
        return InS3(problem=str(error))


def _read(sources: Sources, row: Row) -> StoredDeadLetter | None:
    try:
        return dead_letter_store.read(sources.state, row.key)
    except ValueError:
        return None  # somebody else's


def _shown(rows: RowMaker, of: DeadLetter | None, ref: ObjectRef, s3: InS3, index: InIndex) -> ObjectNow:
    """An object, with what may be shown of its names."""
    has_changed = s3.state is not None and ref.etag not in {None, s3.state.etag}
    if of is None:
        return ObjectNow(ref.bucket, ref.key, s3, index, has_changed)
    bucket, key = rows.name(of, ref.bucket), rows.name(of, ref.key)
    s3 = replace(s3, problem=rows.text(of, s3.problem))
    return ObjectNow(bucket, key, s3, replace(index, problem=rows.text(of, index.problem)), has_changed)


def _hidden(advice: Advice, rows: RowMaker, of: DeadLetter) -> Advice:
    def text(said: str) -> str:
        return rows.text(of, said)

    return Advice(text(advice.command), text(advice.why), text(advice.first), tuple(map(text, advice.instead)))
