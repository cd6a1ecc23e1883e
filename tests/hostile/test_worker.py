"""Attacks 6 and 7 through a real worker on real servers: it lives, and every file is found by its name or accounted for."""

import contextlib
import json
import os
import resource
import time
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from testing.corpus_bodies import SAMPLES
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess, running
from tests.support.hostile import LONG, attacks
from tests.support.hostile_copies import mutations
from tests.support.size import sized
from worker.core.extract import FAILURES
from worker.core.index.open import open_index

ENV = {"EXTRACT_PROCESSES": "2", "EXTRACT_MEMORY_BYTES": str(1024**3), "EXTRACT_TIMEOUT_S": "20"}
NAMES = (
    "名前/改行\nその後.txt", "名前/タブ\t区切り.txt", "名前/復帰\rの後.txt", "名前/\x1b[2J消去.txt", "名前/\x01\x1f制御.txt",
    "名前/右\u202eから\u202c左.txt", "名前/幅\u200bゼロ\ufeff.txt", "名前/絵文字👩‍👩‍👧‍👦🏳️‍🌈.txt",
    unicodedata.normalize("NFD", "名前/プロジェクト.txt"), "名前/" + "ó" + "\u0301" * 40 + ".txt", "名前/a%2Fb%00c%.txt",
    "名前/a+b c++.txt", "名前/...txt", "名前//二重/斜線.txt", "/先頭/斜線.txt", "名前/[red]{}{0}<b>&amp;'\".txt",
    "名前/$(reboot)`id`;|&.txt", "名前/C:\\windows\\system32.txt", "名前/\x80\x9b31m.txt", "名前/" + "\U0010ffff" + ".txt",
    "/".join(["あ" * 84] * 4 + ["いい_1.txt"]),
)  # fmt: skip
assert max(len(name.encode()) for name in NAMES) == 1024, "the longest key that S3 takes"
LONGEST_REST_BYTES = 128 * 1024**2
"""By how much the worker may be larger at rest than before; a leak of bodies would be a gigabyte."""


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    with closing(make_site(seaweedfs, elasticmq, opensearch)) as made:
        yield made


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow("hundreds of hostile files, some of which take a parser its whole time")
@pytest.mark.timeout(sized(900, usual=180))
def test_a_worker_outlives_every_hostile_file_and_finds_each_by_its_name(site, tmp_path):
    left_out = LONG if sized(0, usual=1) else frozenset()
    files = [*(file for file in attacks() if file.what not in left_out), *mutations(sized(400, usual=20), seed=3)]
    for file in files:
        site.put(file.key, file.body)
    with running({**site.env, **ENV}, tmp_path) as worker:
        before = resident_bytes(worker.pid)
        site.send_all([file.key for file in files])
        site.wait_empty(sized(600, usual=120))
        assert resident_bytes(worker.pid) - before < LONGEST_REST_BYTES
        parsers = children_of(worker.pid)
        assert parsers
        assert worker.stop() == 0
    assert [pid for pid in parsers if Path(f"/proc/{pid}").exists()] == []
    assert [left.name for left in tmp_path.iterdir() if left.name.startswith("s3iw-")] == []
    documents = site.documents()
    assert set(documents) == {file.key for file in files}
    bad = {key for key, document in documents.items() if document["extraction"]["status"] in FAILURES}
    dead_letters = site.dead_letters()
    assert {dead_letter["failure"]["kind"] for dead_letter in dead_letters} == {"USER_ERROR"}
    assert len(dead_letters) == len(bad) >= 8
    with closing(open_index(site.settings())) as index:
        for file in files:
            name = file.key.rpartition("/")[2]
            assert file.key in [hit.key for hit in index.search(f'"{name}"', limit=100).hits], file.key


def test_every_nasty_name_is_indexed_under_its_exact_key_and_forges_nothing(site, tmp_path):
    for number, key in enumerate(NAMES):
        site.put(key, f"本文 {number}")
    with running(site.env, tmp_path) as worker:
        site.send_all(list(NAMES))
        surrogate = {"bucket": {"name": site.bucket}, "object": {"key": "%ED%A0%80.txt"}}
        site.send_body(json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": surrogate}]}))
        site.wait_empty()
        lines = worker.lines()
        log = "".join(path.read_text() for path in tmp_path.glob("*.log"))
        assert worker.stop() == 0
    assert [line for line in lines if line["event"] == "(text)"] == []
    assert sorted({c for c in log if not c.isprintable() and c != "\n"}) == []
    assert set(site.documents()) == set(NAMES)
    [dead_letter] = site.dead_letters()
    assert dead_letter["failure"]["kind"] == "USER_ERROR"
    assert "cannot be decoded as UTF-8" in dead_letter["failure"]["message"]


def test_a_full_disk_makes_messages_wait_and_says_so_and_they_are_done_when_there_is_room(site, small_disk, tmp_path):
    keys = {
        "大.txt": b"large " * 60_000,
        "請求書.pdf": (SAMPLES / "経理/請求書 No.1042.pdf").read_bytes(),
        "小.txt": b"small",
    }
    for key, body in keys.items():
        site.put(key, body)
    filler = small_disk / "filler"
    env = {**site.env, "SPOOL_BYTES": str(64 * 1024), "EXTRACT_PROCESSES": "1"}
    worker = WorkerProcess({**env, "TEMP_DIR": str(small_disk)}, tmp_path)
    try:
        worker.start()
        fill(filler)
        site.send_all(list(keys))
        wait_until(lambda: len(worker.events("message.settled")) == 3, 40, "three settled messages")
        settled = {line["key"]: line for line in worker.events("message.settled")}
        assert {key: line["outcome"] for key, line in settled.items()} == {
            "大.txt": "release", "請求書.pdf": "done", "小.txt": "done"
        }  # fmt: skip
        assert "No space left on device" in settled["大.txt"]["note"]
        assert site.dead_letters() == []
        wait_until(lambda: sum(site.depth()) == 1, 10, "what is done, deleted, and only that")
        filler.unlink()
        site.send_all(["大.txt"])  # as its message will be, a minute or more from now
        wait_until(lambda: len(worker.events("message.settled", outcome="done")) == 3, 40, "it is done")
        assert worker.stop() == 0
    finally:
        worker.kill()
    assert set(site.documents()) == set(keys)
    assert list(small_disk.iterdir()) == []


@pytest.mark.slow("messages wait until there are descriptors again")
@pytest.mark.skipif(not sized(1, usual=0), reason="only in make chaos")
def test_descriptors_used_up_lose_nothing_and_it_goes_on_when_there_are_some(site, tmp_path):
    keys = [f"{number}.txt" for number in range(30)]
    for key in keys:
        site.put(key, key)
    with running({**site.env, "SQS_VISIBILITY_TIMEOUT": "30", "INDEX_PROBE_S": "1"}, tmp_path) as worker:
        usual = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
        opened = len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (max(opened - 2, 8), usual[1]))
        site.send_all(keys)
        wait_until(lambda: "Too many open files" in worker.log_tail(400), 40, "a line that says what is wrong")
        cpu = _cpu_s(worker.pid)
        time.sleep(3)
        assert _cpu_s(worker.pid) - cpu < 2.5, "it spins"
        assert worker.process.poll() is None
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, usual)
        wait_until(lambda: set(site.documents()) | _waiting(site) >= set(keys), 60, "every one of them")
        assert worker.stop() == 0
    assert site.dead_letters() == []


def _waiting(site: Site) -> set[str]:
    """Keys whose documents are in retry-index/."""
    return {site.state_record(key)["key"] for key in site.state_keys("retry-index/")}


def fill(filler: Path) -> None:
    """Write until the disk is full."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
