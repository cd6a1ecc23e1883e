"""A manager with a life behind it, in memory: causes of every kind, names of every kind, work done, under way and yet to be done.

Everything is dated before now, so that the console's pages say "3 hours ago" where a picture shows it.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from recovery.ledger.operation_items import ItemResult, Result
from recovery.ledger.operations import Operation, OperationState
from recovery.ledger.plans import Plan, Wanted
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Change, Outcome, State
from recovery.ledger.selection import Selection
from recovery.ledger.statistics import HOURS
from recovery.manager.depth_history import note_depth
from recovery.manager.figures import Figures
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.operations import Operations
from recovery.manager.ramp import why_stop
from recovery.manager.web.app import Health, Status
from testing.memory import BUCKET, FixedClock
from tests.support.api import Api
from tests.support.console_arrivals import (
    CAUSES,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Scene,
    arrive_of,
    foreign,
    history,
    identity,
    key_of,
    unknown,
)
from worker.core.base.liveness import Liveness
from worker.core.index.document import Write
from worker.core.indexing.retry_store import RetryRecord
from worker.core.s3.pause import pause_fleet
from worker.core.s3.workers import WorkerRecord, write_worker
from worker.core.sqs.stored_dead_letter import Hold, Retry, StoredDeadLetter

SEEN_AGO_MS = (20_000, 41_000, 5 * HOUR_MS)
"""When each worker was seen: the last one is lost."""


class RunningClock(FixedClock):
    """S3's clock, which shows this machine's time."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


def console_scene(api: Api, *, paused: bool = True) -> Scene:
    """Fill an empty manager; `paused`: the fleet rests in the end."""
    api.fakes.s3.clock = RunningClock()
    scene = Scene(api, time.time_ns() // 1_000_000)
    _objects(scene)
    history(scene)
    for name, cause in CAUSES.items():
        arrive_of(scene, name, cause)
    foreign(scene)
    unknown(scene)
    _people(scene)
    _scheduled(scene)
    _operate(scene)
    _retry_index(scene)
    _depths(scene)
    workers(scene, SEEN_AGO_MS, paused=paused)
    if paused:
        pause_fleet(
            api.fakes.state, reason="索引の更新 (index upgrade to 3.8), back at 18:00", by="ana@ops-1", lasting_s=5_400
        )
    api.health = Health(Status.HEALTHY, queue_connected=True, facts={"problems": [], "ledger": api.ledger.shown})
    return scene


# -- what people and schedules did -----------------------------------------------------------------------------------


def _rewrite(scene: Scene, identity: str, action: str, by: str, **fields: Any) -> None:
    """Change the record of a dead letter, and its row as a manager would."""
    api, row = scene.api, scene.api.ledger.get(identity)
    assert row is not None
    found = api.fakes.state.get_with_etag(row.key)
    assert found is not None
    stored = replace(StoredDeadLetter.from_json(found[0], row.key, found[1]), **fields)
    api.fakes.state.put(row.key, orjson.dumps(stored.as_json()))
    made = api.rows.row(stored)
    changed = {name: getattr(made, name) for name in ("owner", "note", "hold", "retry_at_ms", "retries", "state")}
    api.ledger.change(identity, version=None, by=by, action=action, **changed)


def _people(scene: Scene) -> None:
    held = [identity("password", number) for number in (3, 4)]
    for one in held:
        _rewrite(
            scene,
            one,
            "hold",
            "legal@example.com",
            hold=Hold("訴訟 2026-118: nothing may change until 31 December", "ana"),
        )
    noted = identity("denied", 2)
    _rewrite(
        scene, noted, "note", "ben@ops-1", note="The role lost s3:GetObject with yesterday's deploy; ticket OPS-4711."
    )
    _rewrite(scene, noted, "assign", "ben@ops-1", owner="storage-team@example.com")
    scene.ids |= {"held": held[0], "noted": noted}


def _scheduled(scene: Scene) -> None:
    numbers = range(120, 180)
    for number in numbers:
        at_ms = scene.now_ms + (number - 121) * 6 * MINUTE_MS
        _rewrite(scene, identity("timeout", number), "changed", "records", retry=Retry(number % 5, at_ms))
    scene.ids["scheduled"] = identity("timeout", numbers[5])


def plan_of(scene: Scene, verb: Verb, names: Iterable[str] = (), **options: Any) -> Plan:
    """A plan of these dead letters."""
    return scene.api.ledger.plans.make(Wanted(verb, "ben@ops-1", options, ids=tuple(names)))


def execute(scene: Scene) -> None:
    """Execute whatever waits, to its end."""
    executor = Operations(scene.api.ledger, scene.api.service.verbs, ManagerMetrics(Figures), stop=scene.api.stopping)
    while executor.once("scene", Liveness(60)):
        pass


def _operate(scene: Scene) -> None:
    """Operations that are over, one under way, one that rests; plans that nobody has used."""
    ledger = scene.api.ledger
    gone = [identity("password", number) for number in range(20, 34)]
    sent = [identity("timeout", number) for number in range(60, 84)]
    reason = "protected, and the sender has left (パスワード不明)"
    for name, plan in (
        ("abandoned", plan_of(scene, Verb.ABANDON, gone, reason=reason)),
        ("done", plan_of(scene, Verb.REDRIVE, sent, ramp=False)),
    ):
        made = ledger.operations.create(plan, by="ben@ops-1")
        execute(scene)
        scene.operations[name] = _the(ledger.operations.get(made.id))
    finding = "neither its work nor its return was seen in time: it may be sent again"
    lost = {"state": State.SENT, "outcome": Outcome.UNCONFIRMED, "finding": finding}
    said = {"outcome": Outcome.UNCONFIRMED, "why": finding}
    ledger.change_many([Change(one, "looked at", "manager", lost, said) for one in sent[:3]])
    scene.ids |= {"archived": gone[0], "sent": sent[5], "unconfirmed": sent[0]}
    _under_way(
        scene,
        "failed",
        range(84, 94),
        6,
        OperationState.FAILED,
        why_stop(6, lambda: 4),
    )
    _under_way(
        scene, "paused", range(94, 112), 0, OperationState.PAUSED, "the fleet is paused by ana@ops-1: index upgrade"
    )
    _under_way(scene, "running", range(60), 23, None, "")
    rest = Selection(group=CAUSES["denied"].fingerprint)
    query = f"group:{CAUSES['denied'].fingerprint}"
    scene.plans = {
        "redrive": ledger.plans.make(Wanted(Verb.REDRIVE, "ben@ops-1", {}, rest, query)),
        "delete": plan_of(
            scene, Verb.DELETE, [identity("password", n) for n in range(12)], reason="not needed any more"
        ),
    }


def _under_way(scene: Scene, name: str, numbers: range, done: int, stop: OperationState | None, why: str) -> None:
    """An operation of which so many items are done; somebody holds it for an hour, unless it has stopped."""
    execution = scene.api.ledger.execution
    plan = plan_of(scene, Verb.REDRIVE, [identity("timeout", number) for number in numbers])
    made = scene.api.ledger.operations.create(plan, by="ben@ops-1")
    taken = execution.take("another manager", 3_600)
    assert taken is not None
    assert taken.operation.id == made.id
    while execution.enlist(taken, 3_600):
        pass
    if done:
        items = execution.begin(taken, 3_600, after=0, limit=done)
        refusal = "InvalidMessageContents: the queue does not take this character"
        results = [ItemResult(one.place, Result.DONE) for one in items[1:]]
        results.append(ItemResult(items[0].place, Result.FAILED, refusal))
        execution.settle(taken, results)
    execution.tell(taken, step=3)
    if stop is not None:
        execution.stop(taken, stop, why)
        while not execution.wind_up(taken, 3_600):
            pass
    scene.operations[name] = _the(scene.api.ledger.operations.get(made.id))


def _the(operation: Operation | None) -> Operation:
    assert operation is not None
    return operation


# -- around it -------------------------------------------------------------------------------------------------------


def _objects(scene: Scene) -> None:
    """What S3 and the index have now: of some dead letters, both."""
    fakes = scene.api.fakes
    for number in range(40):
        key = key_of(CAUSES["timeout"], number)
        fakes.s3.bodies[key] = (
            f"契約書 {number}: この契約は甲と乙の間で締結される。Draft of a contract, page {number}.".encode()
        )
        if number % 2:
            fakes.indexed(key)


def _retry_index(scene: Scene) -> None:
    for number in range(9):
        key = key_of(CAUSES["timeout"], 700 + number)
        at_ms = scene.now_ms - (number + 1) * HOUR_MS
        fields = {"bucket": BUCKET, "file_key": key, "etag": "e", "content": "text"}
        write = Write(BUCKET, key, at_ms, "e", orjson.dumps(fields))
        is_rejected = number < 2
        record = RetryRecord(
            write, "mapper_parsing_exception: failed to parse" if is_rejected else "the index is unavailable",
            rejected=is_rejected, attempts=4 * is_rejected,
        )  # fmt: skip
        name = record.name if not is_rejected else record.name.replace("retry-index/", "retry-index/parked/", 1)
        scene.api.fakes.state.put(name, record.as_json())


def _depths(scene: Scene) -> None:
    """How many waited at each hour of two weeks: some every day, a heap that was redriven, and what came since the evening."""
    for ago in range(HOURS - 1, 0, -1):
        heap = max(0, 180 - 9 * abs(ago - 60)) if ago > 9 else 0
        fresh = max(0, 30 - ago) ** 2 // 3
        note_depth(scene.api.ledger, 48 + 7 * (ago * 37 % 5) + heap + fresh, scene.now_ms - ago * HOUR_MS)


def workers(scene: Scene, seen_ago_ms: Sequence[int], *, paused: bool = False) -> None:
    """The records of so many workers, each of which was seen so long ago."""
    state, now_ms = scene.api.fakes.state, scene.now_ms
    why = {"paused": "paused by ana@ops-1: index upgrade"} if paused else {}
    for number, age_ms in enumerate(seen_ago_ms, start=1):
        record = WorkerRecord(
            f"ops-{number}@0", "paused" if paused else "serving", since_ms=now_ms - 9 * MINUTE_MS, written_at_ms=now_ms - age_ms,
            started_at_ms=now_ms - 3 * DAY_MS, last_poll_at_ms=now_ms - age_ms, host=f"ops-{number}", version="1.4.0", pid=4_200,
            in_flight=0 if paused else 7, source_queue="documents", dlq="documents-dlq", held_back=why,
            figures={"done": 182_113.0 * number, "failed": 96.0, "stored_for_retry": 9.0, "lag_s": 41.0},
        )  # fmt: skip
        write_worker(state, record)
