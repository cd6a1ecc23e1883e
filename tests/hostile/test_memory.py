"""Attack 6: a worker whose own memory is used up. No file is blamed for it, nothing is lost, and it goes on afterwards.

It is simulated by a limit on the address space, set while the worker runs: then allocations fail, in Python as MemoryError, in
Rust as the end of the process; and no thread can be started.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from testing.corpus_bodies import SAMPLES
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess
from tests.support.size import sized

MIB = 1024**2
OFFICE = ("経理/請求書 No.1042.pdf", "legal/NDA draft (v2+final).docx", "経理/2026年度 予算案.xlsx")
SHORTAGE_S = 10.0
DONE_WITHIN_S = 90.0
"""What was released in the meantime comes back within seconds: the worker's waits are shortened."""


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    with closing(make_site(seaweedfs, elasticmq, opensearch)) as made:
        yield made


def put_files(site: Site) -> set[str]:
    """Small texts, texts of several MiB, pages, and what goes to a parser; all of them good."""
    bodies: dict[str, bytes] = {f"小/{n}.txt": f"small {n}".encode() for n in range(12)}
    bodies |= {f"大/{n}.txt": f"large {n} ".encode() * (400_000 + n) for n in range(6)}
    bodies |= {f"頁/{n}.html": b"<html>" + b"<p>page</p>" * 60_000 for n in range(3)}
    bodies |= {f"文書/{n}{Path(name).suffix}": (SAMPLES / name).read_bytes() for n, name in enumerate(OFFICE)}
    for key, body in bodies.items():
        site.put(key, body)
    return set(bodies)


def limit(worker: WorkerProcess, room_bytes: int | None) -> None:
    """Leave it so much address space beyond what it has now; None: all it may have. Its parsers set limits of their own."""
    _, hard = resource.prlimit(worker.pid, resource.RLIMIT_AS)
    most = hard
    if room_bytes is not None:
        pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + room_bytes
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (most, hard))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_dead(worker: WorkerProcess) -> bool:
    return worker.process is not None and worker.process.poll() is not None


@pytest.mark.slow("messages are released for a minute when memory is short")
@pytest.mark.timeout(360)
@pytest.mark.parametrize("room_mib", [0, 1, 8, 40] if sized(1, usual=0) else [1])
def test_memory_used_up_loses_nothing_blames_no_file_and_it_goes_on_when_there_is_some(site, tmp_path, room_mib):
    keys = put_files(site)
    env = {**site.env, "SQS_VISIBILITY_TIMEOUT": "6", "INDEX_PROBE_S": "1"}
    worker = WorkerProcess(env, tmp_path, module=("tests.chaos.hurried", "worker", "run"))
    try:
        worker.start()
        limit(worker, room_mib * MIB)
        site.send_all(sorted(keys))
        time.sleep(SHORTAGE_S)
        if not is_dead(worker):
            before = cpu_s(worker.pid)
            time.sleep(3)
            assert is_dead(worker) or cpu_s(worker.pid) - before < 2.5, "it spins"
        if is_dead(worker):  # as systemd would
            worker.start()
        else:
            limit(worker, None)
        wait_until(lambda: set(site.documents()) == keys, DONE_WITHIN_S, "every one of them, by itself")
        assert worker.stop() == 0
    finally:
        worker.kill()
    assert site.dead_letters() == []
    assert sum(site.depth()) == 0


@pytest.mark.parametrize("most_mib", [150, 300, 700] if sized(1, usual=0) else [300])
def test_too_little_memory_to_start_ends_with_one_clear_line(site, tmp_path, most_mib):
    """With 100 MiB, Python cannot load the program, and the message is its own."""
    worker = WorkerProcess(site.env, tmp_path)
    try:
        worker.spawn()
        resource.prlimit(worker.pid, resource.RLIMIT_AS, (most_mib * MIB, most_mib * MIB))
        assert worker.wait(60) == 70
    finally:
        worker.kill()
    texts = [line["text"] for line in worker.lines() if line["event"] == "(text)"]
    assert texts == ["failed: can't start new thread: see MemoryMax=, LimitAS=, TasksMax= and `ulimit -v`"]


PARSER_WITHOUT_ROOM = """
import resource, sys
from pathlib import Path
sys.path[:] = {path!r}
from worker.core.extract.extractor import Extractor
extractor = Extractor(processes=1, timeout_s=20, memory_bytes=2**31, max_chars=1_000, temp_dir=Path({folder!r}))
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
try:
    print(extractor.extract(Path({file!r}), "a.pdf", None).status)
except OSError as error:
    print(error)
extractor.close()
"""


def test_a_hard_limit_below_the_parsers_own_is_no_file_s_fault(tmp_path):
    code = PARSER_WITHOUT_ROOM.format(path=sys.path, folder=str(tmp_path), file=str(SAMPLES / OFFICE[0]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    if done.stdout == "ok\n":
        pytest.skip("this user may exceed hard limits")
    assert done.stdout.startswith("a parser process could not be started")
    assert "maximum limit" in done.stdout
    assert list(tmp_path.iterdir()) == []
