"""Answers "is anything wrong, and what do I do?" from the facts: parts and steps as data; verdict_words.py has their English."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from recovery.manager.system_facts import Facts
from recovery.manager.thresholds import Severity, exceeded, is_intake_stopped
from recovery.manager.watched import Fact
from worker.core.base.text import one_line, shortened
from worker.core.s3.state import HELD_PREFIX, PARKED_PREFIX, RETRY_PREFIX
from worker.core.s3.waiting import MAX_COUNTED
from worker.core.s3.workers import INDEX, WorkerRecord, WorkerState, silent_workers

CALLS = "calls"
"""What holds back a worker whose calls to the queues fail; others are named as in its record."""
MAX_WHY = 160
"""The number of characters of an error or a reason that a part quotes."""
FOLLOWS_S = 30
"""For how many seconds after a pause has ended workers may still say that they are paused: they poll, and then write."""
Value = str | int | float


class Level(IntEnum):
    """How bad a part is."""

    OK = 0
    NOTICE = 1
    """Somebody should look at it."""
    PROBLEM = 2
    """Something does not work."""


class Says(StrEnum):
    """What a part says. The values that it has stand in WORDS (verdict_words.py)."""

    NOTHING_FAILED = "nothing_failed"
    CAUSES = "causes"
    MESSAGES = "messages"
    NOT_TAKEN_IN = "not_taken_in"
    DLQ_UNKNOWN = "queue_unknown"
    EXPIRES = "expires"
    INTAKE_RESTS = "intake_rests"
    INDEX_REACHABLE = "index_reachable"
    INDEX_UNAVAILABLE = "index_unavailable"
    BUCKET_UNREADABLE = "bucket_unreadable"
    FLEET_SERVING = "fleet_serving"
    FLEET_PAUSED = "fleet_paused"
    BRAKED = "braked"
    RESTING = "resting"
    SILENT = "silent"
    NO_WORKER = "no_worker"
    NOT_SERVING = "not_serving"
    RESUMED = "resumed"
    UNNAMED = "unnamed"
    WAITS_FOR_INDEX = "waits_for_index"
    PARKED = "parked"
    HELD = "held"
    WAITING_UNKNOWN = "waiting_unknown"
    FLEET_UNKNOWN = "fleet_unknown"
    PAUSE_UNKNOWN = "pause_unknown"
    RETRY_INDEX_UNKNOWN = "retry_index_unknown"
    LIMITS = "limits"


class Do(StrEnum):
    """What a step tells somebody to do."""

    NOTHING = "nothing"
    """Said only where no part is worse than Level.OK."""
    SEE_GROUP = "see_group"
    RESUME = "resume"
    CORRECT_AND_RESUME = "correct_and_resume"
    START_WORKER = "start_worker"
    REPAIR_INDEX = "repair_index"
    ALLOW_BUCKET = "allow_bucket"
    DECIDE_PARKED = "decide_parked"
    REPAIR_INTAKE = "repair_intake"
    SEE_INTAKE = "see_intake"
    LET_RECEIVE = "let_receive"
    LOOK_AT_WORKERS = "look_at_workers"
    SEE_WAITING = "see_waiting"
    SEE_BUDGET = "see_budget"
    SEE_LIMITS = "see_limits"
    ASK_AGAIN = "ask_again"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is known of the system, or is not."""

    says: Says
    level: Level = Level.OK
    values: Mapping[str, Value] = field(default_factory=dict)
    """By name; one whose name ends in `_ms` is a time, in `_s` a duration, and `count` decides between singular and plural.

    `or_more` says that there may be more than `count`.
    """


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, the most urgent first."""

    do: Do
    values: Mapping[str, Value] = field(default_factory=dict)
    section: str = ""
    """Of the runbook, as an anchor; empty: none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer."""

    parts: tuple[Part, ...]
    steps: tuple[Step, ...]

    @property
    def level(self) -> Level:
        """That of its worst part."""
        return max((one.level for one in self.parts), default=Level.OK)


_LEVELS = {Severity.INFO: Level.OK, Severity.WARNING: Level.NOTICE, Severity.CRITICAL: Level.PROBLEM}


def verdict(facts: Facts) -> Verdict:
    """The answer to "is anything wrong, and what do I do?"."""
    parts = (*_waiting(facts), *_fleet(facts), *_retry_index(facts), *_limits(facts))
    found = Verdict(parts, tuple(_steps(facts, {one.says: one for one in parts})))
    return found if found.steps or found.level is not Level.OK else Verdict(parts, (Step(Do.NOTHING),))


def _waiting(facts: Facts) -> Iterator[Part]:
    waiting = facts.waiting.now
    if waiting is None:
        yield _unknown(Says.WAITING_UNKNOWN, facts.waiting)
        return
    in_dlq = waiting.dlq.depth
    if waiting.stats.waiting:
        yield Part(Says.CAUSES, Level.NOTICE, {"count": waiting.stats.groups})
        yield Part(Says.MESSAGES, Level.NOTICE, {"count": waiting.depth})
    elif in_dlq:
        yield Part(Says.NOT_TAKEN_IN, Level.NOTICE, {"count": in_dlq})
    elif in_dlq == 0:
        yield Part(Says.NOTHING_FAILED)
    if in_dlq is None:
        yield Part(Says.DLQ_UNKNOWN, Level.PROBLEM, {"why": _cut(waiting.dlq.error)})
    if waiting.soonest_expiry_s is not None:
        yield Part(Says.EXPIRES, Level.NOTICE, {"left_s": waiting.soonest_expiry_s})
    if waiting.intake.is_resting or is_intake_stopped(facts):
        yield Part(Says.INTAKE_RESTS, Level.PROBLEM)


def _fleet(facts: Facts) -> Iterator[Part]:
    workers = facts.workers.now
    if workers is None:
        yield _unknown(Says.FLEET_UNKNOWN, facts.workers)
    else:
        is_resumed = facts.at_ms - facts.pause_changed_ms <= FOLLOWS_S * 1_000
        yield from _of_workers(workers, is_paused=facts.pause.now is not None, is_resumed=is_resumed)
    if not facts.pause.is_known:
        yield _unknown(Says.PAUSE_UNKNOWN, facts.pause)
    elif (pause := facts.pause.value) is not None:
        until = pause.get("until_ms")
        ends = {"until_ms": until} if isinstance(until, int) else {}
        said = {"by": one_line(str(pause.get("by") or "?")), "reason": _cut(str(pause["reason"]))}
        yield Part(Says.FLEET_PAUSED, Level.PROBLEM, {**said, **ends})


def _of_workers(workers: list[WorkerRecord], *, is_paused: bool, is_resumed: bool) -> Iterator[Part]:
    alive = [one for one in workers if one.is_alive]
    silent = silent_workers(workers)
    if not alive:
        yield Part(Says.NO_WORKER, Level.PROBLEM)
        return
    serving = [one for one in alive if _is_serving(one)]
    yield from _breakers(alive, serving)
    if silent:
        since_ms = min(one.written_at_ms for one in silent)
        yield Part(Says.SILENT, Level.PROBLEM, {"count": len(silent), "since_ms": since_ms})
    braked = [one for one in alive if one.brake_reason]
    if braked:
        yield Part(Says.BRAKED, Level.PROBLEM, _of(braked, alive, braked[0].brake_reason))
    others = [one for one in alive if not one.brake_reason and not one.breakers]
    resting = [one for one in others if one.state == WorkerState.RESTING or one.failing_calls]
    if resting:
        held = next(iter(resting[0].held_back.items()), ("", "no reason given"))
        name, why = (CALLS, resting[0].failing_calls[0]) if resting[0].failing_calls else held
        yield Part(Says.RESTING, Level.PROBLEM, {"held_by": name, **_of(resting, alive, why)})
    if serving and not is_paused:
        yield Part(Says.FLEET_SERVING, values={"count": len(serving), "of": len(alive)})
    elif not is_paused and not any(one.breakers for one in alive):
        follow = is_resumed and all(one.doing == WorkerState.PAUSED for one in alive)
        yield (
            Part(Says.RESUMED, Level.NOTICE, {"within_s": FOLLOWS_S})
            if follow
            else Part(Says.NOT_SERVING, Level.PROBLEM)
        )


def _is_serving(one: WorkerRecord) -> bool:
    return one.state == WorkerState.SERVING and not one.failing_calls and not one.brake_reason


def _breakers(alive: list[WorkerRecord], serving: list[WorkerRecord]) -> Iterator[Part]:
    """Whether the index can be reached, and each bucket that cannot be read: the workers say so, who have to reach them.

    A record names a limited number of open breakers. One that does not name them all says nothing of the index.
    """
    names = sorted({name for one in alive for name in one.breakers}, key=lambda name: (name != INDEX, name))
    if INDEX not in names and any(one.open_breakers <= len(one.breakers) for one in serving):
        yield Part(Says.INDEX_REACHABLE)
    for name in names:
        those = [one for one in alive if name in one.breakers]
        says = Says.INDEX_UNAVAILABLE if name == INDEX else Says.BUCKET_UNREADABLE
        yield Part(says, Level.PROBLEM, {"name": one_line(name), **_of(those, alive, those[0].breakers[name])})
    if unnamed := sum(one.open_breakers > len(one.breakers) for one in alive):
        yield Part(Says.UNNAMED, Level.PROBLEM, {"count": unnamed})


def _retry_index(facts: Facts) -> Iterator[Part]:
    tallies = facts.retry_index.now
    if tallies is None:
        yield _unknown(Says.RETRY_INDEX_UNKNOWN, facts.retry_index)
        return
    for prefix, says in ((RETRY_PREFIX, Says.WAITS_FOR_INDEX), (PARKED_PREFIX, Says.PARKED), (HELD_PREFIX, Says.HELD)):
        if count := tallies[prefix].count:
            yield Part(says, Level.NOTICE, {"count": count, **({"or_more": 1} if count >= MAX_COUNTED else {})})


def _limits(facts: Facts) -> Iterator[Part]:
    """How many limits of alerts are exceeded, unless all of them are there for information only."""
    found = exceeded(facts)
    worst = max((_LEVELS[one.threshold.severity] for one in found), default=Level.OK)
    if worst is not Level.OK:
        yield Part(Says.LIMITS, worst, {"count": len(found)})


_FIRST = (
    (Says.NO_WORKER, Do.START_WORKER, "no-poll"),
    (Says.SILENT, Do.START_WORKER, "which-workers-are-alive"),
    (Says.BRAKED, Do.CORRECT_AND_RESUME, "braked"),
    (Says.FLEET_PAUSED, Do.RESUME, "emergency-stop"),
    (Says.INDEX_UNAVAILABLE, Do.REPAIR_INDEX, "index-down"),
    (Says.BUCKET_UNREADABLE, Do.ALLOW_BUCKET, "s3-access-lost"),
    (Says.RESTING, Do.LET_RECEIVE, "s3-access-lost"),
    (Says.UNNAMED, Do.LOOK_AT_WORKERS, "which-workers-are-alive"),
    (Says.NOT_SERVING, Do.LOOK_AT_WORKERS, "which-workers-are-alive"),
    (Says.INTAKE_RESTS, Do.REPAIR_INTAKE, "intake-stopped"),
    (Says.EXPIRES, Do.REPAIR_INTAKE, "dlq-expiry"),
)
"""The steps before those to single failures."""
_THEN = (
    (Says.NOT_TAKEN_IN, Do.SEE_INTAKE, "intake-stopped"),
    (Says.WAITS_FOR_INDEX, Do.SEE_WAITING, "stored-for-retry"),
    (Says.PARKED, Do.DECIDE_PARKED, "parked"),
    (Says.HELD, Do.SEE_BUDGET, "budget"),
    (Says.LIMITS, Do.SEE_LIMITS, ""),
)
"""Those after them."""
_OF_RESTING = {CALLS: "no-poll", "budget": "budget", "budget unknown": "budget"}
"""The section by what holds the workers back, where it is not that of S3."""
_IMPLIED = {Do.LOOK_AT_WORKERS: {Do.CORRECT_AND_RESUME, Do.LET_RECEIVE}, Do.SEE_INTAKE: {Do.REPAIR_INTAKE}}
"""Steps that say no more than another that is there."""


def _steps(facts: Facts, parts: Mapping[Says, Part]) -> Iterator[Step]:
    """What to do, the most far-reaching first: what keeps everything from working comes before single failures."""
    told = set[Do]()

    def simple(steps: Sequence[tuple[Says, Do, str]]) -> Iterator[Step]:
        for says, do, section in steps:
            if says in parts and do not in told and not told & _IMPLIED.get(do, set()):
                told.add(do)
                values = parts[says].values
                yield Step(do, values, _OF_RESTING.get(str(values.get("held_by")), section))

    yield from simple(_FIRST)
    waiting = facts.waiting.now
    if waiting is not None and waiting.largest:
        group = waiting.largest[0]
        of: dict[str, Value] = {"group": group.fingerprint, "error_type": group.error_type, "count": group.count}
        yield Step(Do.SEE_GROUP, of)
    yield from simple(_THEN)
    if facts.unknown or Says.DLQ_UNKNOWN in parts:
        is_of_s3 = facts.waiting.is_known and Says.DLQ_UNKNOWN not in parts
        yield Step(Do.ASK_AGAIN, section="s3-access-lost" if is_of_s3 else "intake-stopped")


def _of(those: list[WorkerRecord], alive: list[WorkerRecord], why: str) -> dict[str, Value]:
    return {"count": len(those), "of": len(alive), "why": _cut(why)}


def _unknown(says: Says, fact: Fact[Any]) -> Part:
    return Part(says, Level.PROBLEM, {"since_ms": fact.unknown_since_ms, "why": _cut(fact.why)})


def _cut(text: str) -> str:
    return shortened(one_line(text), MAX_WHY)
