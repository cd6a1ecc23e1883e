"""During a reindex, a write goes to two indexes, and is done when both have taken it; without one, nothing changes."""

import dataclasses
import time

import orjson
import pytest

from testing.memory import INDEX_DOWN, Faults, MemoryS3, MemoryState
from testing.memory_index import MemoryIndex
from worker.core.base.errors import IndexUnavailableError, StoreError
from worker.core.index import WriteStatus, paired
from worker.core.index.document import Write
from worker.core.index.paired import PairedIndex
from worker.core.s3 import reindexing
from worker.core.s3.reindexing import REINDEX_KEY, Phase, Reindex, ReindexWatch, Source

REINDEX = Reindex("run-1", "ann@host", "files", "files-000001", "files-000002", Source.S3, False, True, Phase.FILLING)


class Scene:
    """An index, and those of its two names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.faults = {name: Faults() for name in ("files", "files-000001", "files-000002")}
        self.by_name = {name: MemoryIndex(faults) for name, faults in self.faults.items()}
        self.state_faults = Faults()
        self.state = MemoryState(MemoryS3(self.state_faults), self.state_faults)
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.watch = ReindexWatch(self.state, "files")
        self.index = PairedIndex(self.by_name["files"], self._open, self.watch)

    def _open(self, name: str, plain_key: bool) -> MemoryIndex:
        assert plain_key is False
        return self.by_name[name]

    def record(self, **changed: object) -> None:
        self.state.put(REINDEX_KEY, dataclasses.replace(REINDEX, **changed).as_json())  # type: ignore[arg-type]

    def write(self, key: str = "a.txt", version: int = 5) -> WriteStatus:
        [result] = self.index.write([Write("files", key, version, "e", b"{}")])
        self.reason = result.reason
        return result.status

    def slow(self) -> bytes | None:
        self.now += 60
        raise StoreError("no answer", code="Timeout")

    def holding(self, key: str = "a.txt") -> set[str]:
        return {name for name, index in self.by_name.items() if ("files", key) in index.documents}


@pytest.fixture
def scene(monkeypatch) -> Scene:
    return Scene(monkeypatch)


BOTH = {"files-000001", "files-000002"}


@pytest.mark.parametrize(("phase", "written"), [
    (None, {"files"}), (Phase.PREPARING, {"files"}), (Phase.FILLING, BOTH), (Phase.SWITCHED, BOTH), (Phase.ENDING, {"files"})
])  # fmt: skip
def test_it_writes_to_both_by_their_own_names_only_while_the_record_says_so(scene, phase, written):
    if phase is not None:
        scene.record(phase=phase)
    assert (scene.write(), scene.holding()) == (WriteStatus.WRITTEN, written)
    assert scene.watch.run == ("run-1" if written == BOTH else "")


def test_a_reindex_of_another_index_does_not_concern_it(scene):
    scene.record(index="others")
    assert (scene.write(), scene.holding()) == (WriteStatus.WRITTEN, {"files"})


def test_one_that_has_no_other_name_is_written_to_by_the_name_that_the_switch_moves(scene):
    scene.record(old="files", is_alias=False)
    assert (scene.write(), scene.holding()) == (WriteStatus.WRITTEN, {"files", "files-000002"})


@pytest.mark.parametrize(("phase", "second"), [(Phase.FILLING, "files-000002"), (Phase.SWITCHED, "files-000001")])
def test_what_only_the_second_refuses_is_behind_and_names_it(scene, phase, second):
    scene.record(phase=phase)
    scene.by_name[second].unavailable.add("a.txt")
    assert scene.write() is WriteStatus.BEHIND
    assert second in scene.reason
    assert "rejected_execution_exception" in scene.reason
    scene.by_name[second].unavailable.clear()
    scene.by_name[second].rejects.add("a.txt")  # which may be why the old index is replaced
    assert scene.write() is (WriteStatus.REJECTED if phase is Phase.FILLING else WriteStatus.WRITTEN)
    scene.by_name[second].rejects.clear()
    scene.by_name[second].versions["files", "a.txt"] = 9
    assert scene.write() is WriteStatus.WRITTEN


def test_the_first_ones_answer_counts_where_it_has_not_taken_it(scene):
    scene.record()
    scene.by_name["files-000001"].rejects.add("a.txt")
    assert (scene.write(), scene.holding()) == (WriteStatus.REJECTED, {"files-000002"})
    scene.faults["files-000001"].add("index.write", INDEX_DOWN)
    with pytest.raises(IndexUnavailableError, match="down"):
        scene.write("b.txt")


def test_after_a_failed_request_the_second_is_left_alone_for_a_while(scene):
    scene.record()
    scene.faults["files-000002"].add("index.write", INDEX_DOWN, times=1)
    assert scene.write("a.txt") is WriteStatus.BEHIND
    assert scene.write("b.txt") is WriteStatus.BEHIND
    assert scene.faults["files-000002"].calls == ["index.write"]
    scene.now += paired.REST_S
    assert (scene.write("c.txt"), scene.holding("c.txt")) == (WriteStatus.WRITTEN, BOTH)


def test_a_reindex_that_has_ended_meanwhile_is_noticed_by_the_index_that_is_gone(scene):
    scene.record()
    scene.write("a.txt")
    scene.state.delete(REINDEX_KEY)
    for name in BOTH:
        scene.faults[name].add("index.write", INDEX_DOWN)
    assert (scene.write("b.txt"), scene.holding("b.txt")) == (WriteStatus.WRITTEN, {"files"})


def test_the_record_is_read_again_only_once_in_a_while(scene):
    for _ in range(5):
        scene.write()
    assert scene.state_faults.calls.count("state.get") == 1
    scene.now += reindexing.READ_EVERY_S + 1
    scene.write()
    assert scene.state_faults.calls.count("state.get") == 2


def test_nothing_is_written_once_the_record_could_not_be_read_for_too_long(scene):
    scene.write()
    scene.state_faults.add("state.get", StoreError("no answer", code="Timeout"))
    scene.now += reindexing.MAX_AGE_S
    assert scene.write("b.txt") is WriteStatus.WRITTEN
    scene.now += 0.1
    with pytest.raises(IndexUnavailableError, match=r"two indexes.*s3-index-worker/reindex\.json: no answer"):
        scene.write("c.txt")
    with pytest.raises(IndexUnavailableError):
        scene.index.ensure()
    calls = len(scene.state_faults.calls)
    with pytest.raises(IndexUnavailableError):
        scene.write("d.txt")
    assert len(scene.state_faults.calls) == calls  # nobody waits for the same failure again
    assert scene.holding("c.txt") == set()


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'{"schema": 2}', b'{"schema": 1}', b'{"schema": 1, "source": "s3", "phase": "new"}']
)
def test_nothing_is_written_while_the_record_cannot_be_understood(scene, raw):
    scene.state.put(REINDEX_KEY, raw)
    with pytest.raises(IndexUnavailableError, match=r"reindex\.json"):
        scene.write()


def test_a_record_is_read_as_it_was_written():
    assert Reindex.from_json(REINDEX.as_json()) == REINDEX


def test_a_read_that_fails_too_late_counts_as_no_knowledge(scene):
    scene.write()
    scene.now += reindexing.MAX_AGE_S - 0.1
    scene.state.get = lambda _key: scene.slow()
    with pytest.raises(IndexUnavailableError, match="no answer"):
        scene.write("b.txt")


def test_a_record_of_a_newer_version_is_understood_as_far_as_it_goes():
    newer = orjson.dumps({**orjson.loads(REINDEX.as_json()), "added": 1})
    assert Reindex.from_json(newer) == REINDEX
