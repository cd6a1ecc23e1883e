"""`reindex` from the first record to the last, over SQLite files: whatever fails or is killed, the next command goes on."""

import contextlib
import dataclasses
import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from recovery.operations import reindex as operation
from recovery.operations.progress import ignore_progress
from recovery.operations.reconcile import reconcile
from recovery.operations.reindex import Plan, plan, reindex
from recovery.operations.reindexing import comparing, steps
from recovery.operations.reindexing.ending import Ended, Ending, situation
from recovery.operations.reindexing.request import Reindexed, ReindexRequest
from testing.fakes import Fakes
from testing.memory import BUCKET, NOW_MS
from tests.support.reconciled import OLD_MS
from worker.core.audit import Run
from worker.core.base.errors import ConfigError, DependencyError, IndexUnavailableError, PausedError, StoreError
from worker.core.index.document import Write, encode
from worker.core.index.exchange_sqlite import SqliteExchange
from worker.core.index.paired import PairedIndex
from worker.core.index.sqlite import SqliteIndex
from worker.core.s3.objects import Place
from worker.core.s3.pause import pause_fleet
from worker.core.s3.reindexing import REINDEX_KEY, Phase, ReindexWatch, Source
from worker.core.s3.workers import WorkerRecord, write_worker

RUN = Run("run-1", "reindex_index", "reindex", "ann@host")
OTHER = Run("run-2", "reindex_index", "end", "bob@host")
KEYS = {f"{number}.txt": b"words" for number in range(5)}


class Scene:
    """A bucket and its index in a file."""

    def __init__(self, fakes: Fakes, folder: Path) -> None:
        self.fakes = fakes
        self.path = folder / "index.sqlite"
        self.folder = folder / "work"
        self.settings = fakes.settings().model_copy(
            update={"index_url": SecretStr(f"sqlite:///{self.path}"), "temp_dir": folder, "reconcile_young_s": 0}
        )  # fmt: skip
        self.exchange = SqliteExchange(self.path, timeout_s=5)
        self.watch = ReindexWatch(fakes.state, str(self.path))
        index = PairedIndex(SqliteIndex(self.path, timeout_s=5), _open, self.watch)
        self.clients = dataclasses.replace(fakes.clients, index=index, reindex=self.watch)
        for key, body in KEYS.items():
            self.put(key, body)
        self.stop = threading.Event()
        self.said: list[str] = []

    def put(self, key: str, body: bytes) -> None:
        self.fakes.s3.bodies[key] = body
        self.fakes.s3.modified[key] = datetime.fromtimestamp(OLD_MS / 1000, UTC)

    def request(self, source: Source = Source.S3, **more: object) -> ReindexRequest:
        return ReindexRequest(RUN, source, (Place(BUCKET, ""),), **more)  # type: ignore[arg-type]

    def plan(self, source: Source = Source.S3, **more: object) -> Plan:
        return plan(self.settings, self.clients, self.exchange, self.request(source, **more))

    def run(self, source: Source = Source.S3, **more: object) -> Reindexed:
        request = self.request(source, **more)
        planned = plan(self.settings, self.clients, self.exchange, request)
        return reindex(
            self.settings, self.clients, self.exchange, request, planned, self.folder, stop=self.stop,
            on_progress=ignore_progress,
        )  # fmt: skip

    def ending(self, run: Run = OTHER) -> Ending:
        never = threading.Event()
        return Ending(self.settings, self.clients, self.exchange, run, stop=never, say=self.said.append)

    def found(self, path: Path | None = None) -> set[str]:
        with closing(SqliteIndex(path or self.path, timeout_s=5, creates=False)) as index:
            return {entry.key for entry in index.entries(BUCKET, "")}

    def files(self) -> list[str]:
        """The index's files, without their logs."""
        return sorted(
            one.name for one in self.path.parent.glob("index.sqlite*") if not one.name.endswith(("-wal", "-shm"))
        )

    def phase(self) -> Phase | None:
        found = situation(self.settings, self.clients, self.exchange).reindex
        return None if found is None else found.phase


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MAX_AGE_S", -1)
    monkeypatch.setattr(steps, "ASK_EVERY_S", 0)
    monkeypatch.setattr(operation, "LATE_S", -1)
    monkeypatch.setattr(comparing, "LOOK_AGAIN_S", 0)


@pytest.fixture
def scene(fakes, tmp_path, monkeypatch) -> Scene:
    quick(monkeypatch)
    made = Scene(fakes, tmp_path)
    fill(made)
    return made


def _open(name: str, _plain_key: bool) -> SqliteIndex:
    return SqliteIndex(Path(name), timeout_s=5, creates=False)


def fill(scene: Scene) -> None:
    scene.clients.index.ensure()
    scene.clients.index.write([
        Write(BUCKET, key, NOW_MS - 5, scene.fakes.s3.etag(key), encode(scene.fakes.document(key))) for key in KEYS
    ])  # fmt: skip


@pytest.mark.parametrize("source", list(Source))
def test_the_first_file_is_replaced_for_good_and_the_second_can_be_gone_back_from(scene, source):
    done = scene.run(source)
    assert (done.is_switched, done.can_go_back, done.filled, done.lacking) == (True, False, 5, 0)
    assert (scene.files(), scene.found(), scene.phase()) == (["index.sqlite", "index.sqlite-000001"], set(KEYS), None)
    done = scene.run(source)
    assert (done.is_switched, done.can_go_back) == (True, True)
    assert scene.phase() is Phase.SWITCHED
    assert scene.path.readlink().name == "index.sqlite-000002"
    scene.ending().roll_back(force=False)
    assert (scene.path.readlink().name, scene.phase()) == ("index.sqlite-000001", Phase.FILLING)
    assert scene.run(source).is_switched
    scene.ending().finish(force=True)
    assert (scene.files(), scene.phase()) == (["index.sqlite", "index.sqlite-000002"], None)
    assert scene.found() == set(KEYS)


def test_what_is_written_meanwhile_is_in_both_until_the_end(scene):
    scene.run()
    scene.run()
    scene.watch.look(at_most_s=0)
    scene.clients.index.write([Write(BUCKET, "0.txt", NOW_MS, None, None)])
    assert [scene.found(scene.path.with_name(f"index.sqlite-00000{one}")) for one in (1, 2)] == [
        set(KEYS) - {"0.txt"}
    ] * 2


def test_removed_documents_do_not_come_back_with_a_copy(scene):
    """The removal reaches the new file before the old document does."""
    planned = scene.plan(Source.INDEX)
    old, new = planned.reindex.old, planned.reindex.new
    scene.exchange.create(old, new)
    with closing(_open(new, False)) as index:
        index.write([Write(BUCKET, "0.txt", NOW_MS, None, None)])
    copied = scene.exchange.copy(old, new, stop=threading.Event(), on_copied=lambda *_: None)
    assert (copied.changed, scene.found(Path(new))) == (4, set(KEYS) - {"0.txt"})
    assert scene.exchange.copy(old, new, stop=threading.Event(), on_copied=lambda *_: None).changed == 0


def test_it_repairs_what_the_copy_brought_wrong_and_switches_only_then(scene):
    scene.put("6.txt", b"missing in the old index")
    del scene.fakes.s3.bodies["0.txt"]
    done = scene.run(Source.INDEX)
    assert (done.is_switched, done.filled, done.repaired, done.rounds) == (True, 5, 2, 2)
    assert scene.found() == {"1.txt", "2.txt", "3.txt", "4.txt", "6.txt"}


@pytest.mark.parametrize("is_young", [True, False])
def test_it_does_not_switch_while_the_new_index_lacks_what_the_old_one_finds(scene, is_young):
    if is_young:
        scene.fakes.s3.modified["0.txt"] = datetime.fromtimestamp(NOW_MS / 1000, UTC) + timedelta(seconds=1)
        fill(scene)
    scene.fakes.s3.denied = {"0.txt"}  # which nobody can read any more
    done = scene.run()
    assert (done.is_switched, done.lacking, done.rounds) == (False, 1, 1)
    assert "denied" in done.examples[0]
    assert (scene.path.is_symlink(), scene.phase()) == (False, Phase.FILLING)
    scene.fakes.s3.denied.clear()
    assert scene.run().is_switched
    assert scene.found() == set(KEYS)


def test_with_force_it_switches_all_the_same(scene):
    scene.fakes.s3.denied = {"0.txt"}
    assert scene.run(force=True).is_switched
    assert scene.found() == set(KEYS) - {"0.txt"}


def test_it_waits_for_every_worker_that_is_alive_and_names_those_that_do_not_follow(scene, monkeypatch):
    scene.run()
    for name, run, state in (("old", "", "serving"), ("follows", "run-1", "serving"), ("gone", "", "stopped")):
        record = WorkerRecord(name, state=state, written_at_ms=NOW_MS, version="0.9", reindex=run)
        write_worker(scene.fakes.state, record)
    monkeypatch.setattr(steps, "PATIENCE_S", -1)
    with pytest.raises(DependencyError, match=r"1 workers do not .*: old \(version 0\.9\)\. .*: it goes on from here"):
        scene.run()
    assert situation(scene.settings, scene.clients, scene.exchange).as_json()["workers"] == {"alive": 2, "following": 1}
    write_worker(scene.fakes.state, WorkerRecord("old", state="serving", written_at_ms=NOW_MS, reindex="run-1"))
    assert scene.run().is_switched


CALLS = ("state.put", "state.claim", "state.get", "state.delete", "s3.list", "s3.read", "s3.head")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("source", list(Source))
def test_whatever_call_fails_the_next_run_goes_on_or_an_abort_ends_it(fakes, tmp_path, monkeypatch, call, source):
    """Each call of a kind fails in turn, for good; then everything works again."""
    quick(monkeypatch)
    for after in (0, 1, 2, 3, 5, 8):
        for ends in (False, True):
            folder = tmp_path / f"{after}-{ends}"
            folder.mkdir()
            fresh = Fakes()
            scene = Scene(fresh, folder)
            fill(scene)
            fresh.faults.add(call, StoreError("denied", code="AccessDenied"), after=after)
            try:
                was_switched = scene.run(source).is_switched
            except (StoreError, DependencyError, ConfigError, IndexUnavailableError):
                was_switched = False
            fresh.faults.plan.clear()
            if ends and scene.phase() is not None:
                if scene.phase() is Phase.ENDING:
                    scene.ending(RUN).finish(force=True)
                else:
                    scene.ending(RUN).abort()
            elif not was_switched and scene.phase() is not Phase.ENDING:
                assert scene.run(source).is_switched
            assert scene.found() == set(KEYS), (call, after, ends)
            if scene.phase() is None:
                assert len(scene.files()) <= 2


def test_a_command_that_was_killed_just_after_the_switch_is_known_to_have_switched(scene):
    scene.run()
    planned = scene.plan()
    scene.stop.set()
    reindex(scene.settings, scene.clients, scene.exchange, scene.request(), planned, scene.folder, stop=scene.stop,
            on_progress=ignore_progress)  # fmt: skip
    assert scene.phase() is Phase.FILLING
    scene.exchange.switch(planned.reindex.new, planned.reindex.old)
    assert scene.phase() is Phase.SWITCHED
    with pytest.raises(DependencyError, match="use --rollback first"):
        scene.ending().abort()


def test_what_searches_read_is_never_deleted(scene):
    for path in (scene.path,):
        with pytest.raises(IndexUnavailableError, match="leads to it"):
            scene.exchange.remove(str(path))
    assert scene.found() == set(KEYS)


def test_the_old_index_is_kept_for_the_time_of_grace(scene):
    scene.run()
    scene.run(grace_s=3600)
    assert situation(scene.settings, scene.clients, scene.exchange).grace_left_s == 3600
    with pytest.raises(DependencyError, match=r"another 1\.0 hours; to delete it now, use --force"):
        scene.ending().finish(force=False)
    assert scene.files() == ["index.sqlite", "index.sqlite-000001", "index.sqlite-000002"]


@pytest.mark.parametrize("end", [
    lambda ending: ending.roll_back(force=True), lambda ending: ending.abort(), lambda ending: ending.finish(force=True)
])  # fmt: skip
def test_nothing_can_be_ended_that_was_not_begun(scene, end):
    with pytest.raises(DependencyError, match="no reindex is under way"):
        end(scene.ending())


def test_before_the_switch_there_is_nothing_to_go_back_from_or_to_finish(scene):
    scene.stop.set()
    assert not scene.run().is_switched
    with pytest.raises(DependencyError, match="nothing to go back from"):
        scene.ending().roll_back(force=False)
    with pytest.raises(DependencyError, match="or use --abort"):
        scene.ending().finish(force=True)
    with pytest.raises(DependencyError, match="--from-s3: go on with that, or use --abort"):
        scene.plan(Source.INDEX)
    scene.ending().abort()
    assert (scene.files(), scene.phase()) == (["index.sqlite"], None)


def test_another_command_that_was_faster_is_noticed(scene):
    scene.stop.set()
    scene.run()
    found = steps.under_way(scene.clients.state, scene.clients.objects.clock)
    assert found is not None
    scene.ending().abort()
    with pytest.raises(DependencyError, match="another command has changed the reindex meanwhile"):
        found.move(Phase.SWITCHED)


def test_a_record_that_cannot_be_understood_is_named(scene):
    scene.fakes.state.put(REINDEX_KEY, b"{")
    with pytest.raises(DependencyError, match=r"s3-index-worker/reindex\.json cannot be read"):
        scene.plan()


def test_it_is_refused_while_the_fleet_is_paused_and_where_there_is_no_index(scene, tmp_path):
    pause_fleet(scene.fakes.state, reason="r", by="b", lasting_s=None)
    with pytest.raises(PausedError):
        scene.run()
    with pytest.raises(ConfigError, match="there is no such file"):
        SqliteExchange(tmp_path / "none.sqlite", timeout_s=1).current()


def test_documents_of_other_buckets_are_noticed(scene):
    scene.clients.index.write([Write("others", "x", NOW_MS, "e", b'{"bucket": "others"}')])
    assert scene.plan().uncovered == {"others"}


def test_only_one_command_at_a_time_changes_a_reindex(scene, monkeypatch):
    write_worker(scene.fakes.state, WorkerRecord("old", state="serving", written_at_ms=NOW_MS))
    refused = []

    def wait(_seconds: float) -> None:
        with pytest.raises(DependencyError, match="another `reindex_index` is at work: stop it first") as error:
            scene.ending().abort()
        refused.append(error)
        scene.stop.set()

    monkeypatch.setattr(scene.stop, "wait", wait)
    assert scene.run().stopped
    assert (len(refused), scene.phase()) == (1, Phase.FILLING)
    write_worker(scene.fakes.state, WorkerRecord("old", state="serving", written_at_ms=NOW_MS))
    scene.ending().abort()
    assert (scene.files(), scene.phase()) == (["index.sqlite"], None)


def test_a_plan_that_was_overtaken_is_not_carried_out(scene):
    scene.run()
    planned = scene.plan()
    scene.run()
    scene.ending().finish(force=True)
    with pytest.raises(DependencyError, match="since this was planned: run it again"):
        reindex(scene.settings, scene.clients, scene.exchange, scene.request(), planned, scene.folder, stop=scene.stop,
                on_progress=ignore_progress)  # fmt: skip
    assert (scene.phase(), scene.found()) == (None, set(KEYS))


@pytest.mark.parametrize("end", [
    lambda ending: ending.finish(force=True), lambda ending: ending.abort(), lambda ending: ending.roll_back(force=True)
])  # fmt: skip
def test_after_a_rollback_that_was_killed_no_command_deletes_what_searches_read(scene, end):
    scene.run()
    scene.run()
    record = situation(scene.settings, scene.clients, scene.exchange).reindex
    assert record is not None
    scene.exchange.switch(record.old, record.new)
    assert scene.phase() is Phase.FILLING
    ended: Ended | None = None
    with contextlib.suppress(DependencyError):
        ended = end(scene.ending())
    assert scene.found() == set(KEYS)
    assert ended is None or scene.phase() is None


def test_an_index_that_searches_read_is_kept_whatever_the_record_says(scene):
    scene.run()
    scene.run()
    found = steps.under_way(scene.clients.state, scene.clients.objects.clock)
    assert found is not None
    found.move(Phase.ENDING, left_over=found.reindex.new)
    scene.ending().finish(force=True)
    assert scene.said == [f"{found.reindex.new} is kept, because searches read it"]
    assert (scene.found(), scene.phase()) == (set(KEYS), None)


def test_a_worker_that_came_later_and_does_not_follow_keeps_from_switching_and_going_back(scene):
    scene.run()
    scene.run()
    write_worker(scene.fakes.state, WorkerRecord("late", state="serving", written_at_ms=NOW_MS, version="0.9"))
    with pytest.raises(DependencyError, match=r"1 workers do not write as .*: late \(version 0\.9\)"):
        scene.ending().roll_back(force=False)
    scene.ending().roll_back(force=True)


def test_the_new_file_belongs_to_whom_the_old_one_does(scene):
    scene.path.chmod(0o660)
    if os.geteuid() == 0:
        os.chown(scene.path, 65_534, 65_534)
    was = scene.path.stat()
    scene.run()
    now = scene.path.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)


def test_a_link_of_the_operators_own_may_lead_to_another_folder(scene, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    scene.clients.index.close()
    scene.path.rename(data / "files.db")
    scene.path.symlink_to(data / "files.db")
    assert scene.run().can_go_back
    assert scene.path.resolve() == data / "files.db-000001"
    scene.ending().roll_back(force=False)
    assert (scene.path.resolve(), scene.found()) == (data / "files.db", set(KEYS))
    (data / "files.db-000001").unlink()
    with pytest.raises(IndexUnavailableError, match="does not exist"):
        scene.exchange.switch(str(data / "files.db-000001"), "")


def test_a_reindex_can_be_ended_although_somebody_has_deleted_the_index(scene):
    scene.stop.set()
    scene.run()
    scene.path.unlink()
    with pytest.raises(ConfigError, match="there is no such file"):
        scene.plan()
    scene.ending().abort()
    assert (scene.files(), scene.phase()) == ([], None)


def test_a_store_without_conditional_writes_is_enough(scene):
    scene.fakes.faults.add("state.claim", StoreError("not here", code="NotImplemented"))
    assert scene.run().is_switched


def test_a_comparison_that_was_interrupted_begins_anew(scene, monkeypatch):
    """What has come since is in the old index alone."""
    scene.run()
    ran = comparing.Comparison.run

    def interrupted(self: comparing.Comparison) -> comparing.Compared:
        monkeypatch.setattr(comparing, "reconcile", stopped_after_the_listing)
        return ran(self)

    monkeypatch.setattr(comparing.Comparison, "run", interrupted)
    assert not scene.run().is_switched
    monkeypatch.undo()
    quick(monkeypatch)
    scene.stop.clear()
    scene.put("new.txt", b"words")
    scene.watch.look(at_most_s=0)
    real = SqliteIndex(scene.path, timeout_s=5)
    real.write([Write(BUCKET, "new.txt", NOW_MS, "e", encode(scene.fakes.document("new.txt")))])
    real.close()
    scene.fakes.s3.denied = {"new.txt"}
    done = scene.run()
    assert (done.is_switched, done.lacking) == (False, 1)


def stopped_after_the_listing(*args: Any, stop: threading.Event, **more: Any) -> None:
    def on_progress(_: object) -> None:
        stop.set()

    assert reconcile(*args, stop=stop, **{**more, "on_progress": on_progress}) is None


def test_what_was_repaired_does_not_keep_from_switching(scene, monkeypatch):
    """Each round finds a write that the new index has not taken yet, and repairs it."""
    scene.run()
    asked = comparing.Comparison.run
    rounds = []

    def run(self: comparing.Comparison) -> comparing.Compared:
        rounds.append(1)
        with closing(sqlite3.connect(f"{scene.path}-000002", isolation_level=None)) as new:
            new.execute("DELETE FROM text WHERE rowid IN (SELECT rowid FROM documents WHERE key='0.txt')")
            new.execute("DELETE FROM documents WHERE key='0.txt'")
        return asked(self)

    monkeypatch.setattr(comparing.Comparison, "run", run)
    done = scene.run()
    assert (done.rounds, done.lacking, done.is_switched) == (operation.MAX_ROUNDS, 0, True)


def test_a_worker_whose_record_cannot_be_read_is_waited_for(scene, monkeypatch):
    scene.run()
    write_worker(scene.fakes.state, WorkerRecord("dark", state="serving", written_at_ms=NOW_MS, reindex="run-1"))
    monkeypatch.setattr(steps, "PATIENCE_S", -1)
    get = scene.fakes.state.get

    def unread(key: str) -> Any:
        if key.startswith("s3-index-worker/workers/"):
            raise StoreError("slow down", code="SlowDown")
        return get(key)

    monkeypatch.setattr(scene.fakes.state, "get", unread)
    with pytest.raises(DependencyError, match=r"dark \(SlowDown: slow down\)"):
        scene.run()


def test_how_long_the_old_index_is_kept_can_be_said_when_it_goes_on(scene):
    scene.run()
    scene.stop.set()
    scene.run(grace_s=3600)
    scene.stop.clear()
    assert scene.run().is_switched
    assert situation(scene.settings, scene.clients, scene.exchange).grace_left_s == 3600
    scene.ending().roll_back(force=False)
    assert scene.run(grace_s=7200).is_switched
    assert situation(scene.settings, scene.clients, scene.exchange).grace_left_s == 7200


def test_many_orphans_are_removed_only_if_that_is_wanted_and_that_forces_nothing_else(scene):
    gone = [f"gone/{number}.txt" for number in range(40)]
    scene.clients.index.write([Write(BUCKET, key, NOW_MS - 5, "e", b'{"etag": "e"}') for key in gone])
    with pytest.raises(DependencyError, match=r"40 of 45 documents .* use --remove-many"):
        scene.run(Source.INDEX)
    scene.fakes.s3.denied = {"0.txt"}
    done = scene.run(Source.INDEX, removes_many=True)
    assert (done.is_switched, scene.found()) == (True, set(KEYS))


def test_a_command_for_another_index_changes_nothing(scene):
    scene.run()
    scene.run()
    found = situation(scene.settings, scene.clients, scene.exchange).reindex
    assert found is not None
    scene.exchange.switch(found.old, found.new)
    other = scene.settings.model_copy(update={"index_url": SecretStr("sqlite:////elsewhere.sqlite")})
    before = scene.fakes.s3.records[REINDEX_KEY]
    with pytest.raises(DependencyError, match=r"is about .*index\.sqlite, not /elsewhere\.sqlite"):
        Ending(other, scene.clients, scene.exchange, OTHER, stop=threading.Event(), say=print).abort()
    assert scene.fakes.s3.records[REINDEX_KEY] == before


def test_a_lease_that_is_lost_stops_the_run_and_says_so(scene, monkeypatch):
    monkeypatch.setattr(steps, "RENEW_EVERY_S", 0.01)
    monkeypatch.setattr(steps, "MAX_AGE_S", 1e9)
    taken = threading.Event()

    def wait(_seconds: float) -> None:
        scene.fakes.s3.records[steps.LEASE_KEY] = orjson.dumps({"holder": "another", "until_ms": NOW_MS + 59_000})
        taken.wait(0.05)

    monkeypatch.setattr(scene.stop, "wait", wait)
    monkeypatch.setattr("worker.core.s3.lease._RENEW_BELOW", 2.0)
    with pytest.raises(DependencyError, match=r"reindex-lease\.json could not be kept"):
        scene.run()


def test_a_renewal_of_the_lease_whose_answer_was_lost_is_noticed_as_its_own(scene, monkeypatch):
    monkeypatch.setattr(steps, "RENEW_EVERY_S", 0.01)
    monkeypatch.setattr("worker.core.s3.lease._RENEW_BELOW", 2.0)
    claim, lost = scene.fakes.state.claim, threading.Event()

    def losing(key: str, record: bytes, *, instead_of: str | None) -> Any:
        etag = claim(key, record, instead_of=instead_of)
        if key != steps.LEASE_KEY or instead_of is None or lost.is_set():
            return etag
        lost.set()
        return None

    monkeypatch.setattr(scene.fakes.state, "claim", losing)
    with steps.alone(scene.fakes.state, scene.clients.objects.clock, RUN, scene.stop):
        assert lost.wait(5)
        assert not scene.stop.wait(0.2)
