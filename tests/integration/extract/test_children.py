"""Children that hang, crash, exhaust memory or are killed affect only the file they had."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testing.corpus_bodies import DATA, SAMPLES
from worker.assembly import tidy_temp_dir
from worker.core.base import settings
from worker.core.base.errors import ExtractionStoppedError
from worker.core.extract import Extracted, children
from worker.core.extract.extractor import Extractor

GIB = 1024**3
LEASE = SAMPLES / "legal/Office lease summary.rtf"
REACH = DATA / "reach"
Make = Callable[..., Extractor]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def build(*, processes: int = 1, timeout_s: float = 20, memory_bytes: int = 2 * GIB) -> Extractor:
            extractor = Extractor(
                processes=processes, timeout_s=timeout_s, memory_bytes=memory_bytes, max_chars=10_000, temp_dir=tmp_path
            )
            stack.callback(extractor.close)
            return extractor

        yield build


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "PARSER", "tests.integration.extract.parsers:misbehave")


def order(extractor: Extractor, what: str) -> Extracted:
    return extractor.extract(b"%PDF-" + what.encode(), "a.pdf", None)


def is_alive(pid: int) -> bool:
    """Not gone, and no zombie either."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], timeout_s: float = 10) -> bool:
    until = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_a_hanging_file_times_out_and_the_next_is_read(make: Make, misbehaving: None) -> None:
    extractor = make(timeout_s=0.5)
    started = time.monotonic()
    assert order(extractor, "hang").status == "timeout"
    assert time.monotonic() - started < 5
    assert order(extractor, "").status == "ok"


def test_a_hanging_child_delays_no_other_child(make: Make, misbehaving: None) -> None:
    extractor = make(processes=2, timeout_s=1.5)
    order(extractor, "")
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(order, extractor, "hang")
        assert [order(extractor, "").status for _ in range(20)] == ["ok"] * 20
        assert not hanging.done()
        assert hanging.result().status == "timeout"


@pytest.mark.parametrize(
    ("what", "status", "words"),
    [
        ("crash", "corrupt", "SIGSEGV"),
        ("panic", "corrupt", "a panic of Rust"),
        ("abort for want of memory", "out_of_memory", "memory"),
        ("be killed", "out_of_memory", "SIGKILL"),
        ("devour", "out_of_memory", "memory"),
        ("starve", "out_of_memory", "memory"),
        ("starve politely", "out_of_memory", "memory"),
        ("fill the disk", "corrupt", "File too large"),
        ("talk nonsense", "corrupt", "could not be understood"),
    ],
)
def test_a_fatal_file_fails_alone(make: Make, misbehaving: None, what: str, status: str, words: str) -> None:
    extractor = make()
    extracted = order(extractor, what)
    assert extracted.status == status
    assert words in (extracted.error or "")
    assert order(extractor, "").status == "ok"


def test_a_real_file_that_needs_more_memory_than_allowed_fails_alone(make: Make, tmp_path: Path) -> None:
    extractor = make(memory_bytes=512 * 1024**2)
    path = tmp_path / "large.docx"
    path.write_bytes((SAMPLES / "legal/NDA draft (v2+final).docx").read_bytes())
    os.truncate(path, 600 * 1024**2)
    assert extractor.extract(path, "a.docx", None).status == "out_of_memory"
    assert extractor.extract(LEASE.read_bytes(), "a.rtf", None).status == "ok"


def test_a_child_killed_in_the_middle_costs_no_file(make: Make, misbehaving: None) -> None:
    extractor = make(processes=2)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(order, extractor, "sleep") for _ in range(6)]
        assert wait_until(lambda: len(extractor._children.pids()) == 2)
        time.sleep(0.1)
        os.kill(extractor._children.pids()[0], signal.SIGKILL)
        assert [future.result().status for future in waiting] == ["ok"] * 6


def test_a_child_killed_while_idle_is_replaced(make: Make, misbehaving: None) -> None:
    extractor = make()
    order(extractor, "")
    [pid] = extractor._children.pids()
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pid))
    assert order(extractor, "").status == "ok"
    assert extractor._children.pids() != [pid]


def test_a_child_survives_the_signals_that_end_a_worker(make: Make, misbehaving: None) -> None:
    extractor = make()
    order(extractor, "")
    [pid] = extractor._children.pids()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    assert order(extractor, "").content.startswith(f"{pid} ")


def test_stop_ends_every_wait_at_once(make: Make, misbehaving: None) -> None:
    extractor = make()
    order(extractor, "")
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(order, extractor, "hang") for _ in range(3)]
        time.sleep(0.2)
        started = time.monotonic()
        extractor.stop()
        for future in waiting:
            with pytest.raises(ExtractionStoppedError):
                future.result()
        assert time.monotonic() - started < 1
    with pytest.raises(ExtractionStoppedError):
        order(extractor, "")
    assert extractor.extract(b"plain text needs no child", "a.txt", None).status == "ok"


def test_a_child_has_a_private_folder_of_its_own_and_no_credentials(
    make: Make, misbehaving: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    extractor = make()
    pid, folder, environment = order(extractor, "").content.split(" ", 2)
    assert extractor._children.pids() == [int(pid)]
    assert Path(folder).parent == tmp_path
    assert Path(folder).name.startswith(f"s3iw-{os.getpid()}-")
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert "AWS" not in environment
    extractor.close()
    assert not is_alive(int(pid))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_child_s_folder_is_removed_too(make: Make, misbehaving: None, tmp_path: Path) -> None:
    extractor = make(timeout_s=0.3)
    order(extractor, "hang")
    order(extractor, "crash")
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_nests_folders_without_end_takes_no_place_in_the_pool(
    make: Make, misbehaving: None, tmp_path: Path
) -> None:
    extractor = make()
    for _ in range(3):
        assert order(extractor, "nest").status == "corrupt"
    assert order(extractor, "").status == "ok"
    extractor.close()
    assert list(tmp_path.iterdir()) == []


def test_text_alone_starts_no_child(make: Make) -> None:
    extractor = make()
    for key in ("a.txt", "a.html", "a.png"):
        extractor.extract(b"<html><p>text", key, None)
    assert extractor._children.pids() == []


SAMPLE_FILES = [path for path in SAMPLES.rglob("*") if path.is_file()]


def test_no_parser_opens_a_socket_or_writes_a_file(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(children, "PARSER", "tests.integration.extract.parsers:watched")
    extractor = make()
    for path in [*SAMPLE_FILES, *REACH.iterdir()]:
        extracted = extractor.extract(path, path.name, None)
        assert "ended by" not in (extracted.error or ""), path
    assert len(extractor._children.pids()) == 1
    assert [path for folder in tmp_path.iterdir() for path in folder.rglob("*")] == []


@pytest.mark.parametrize("deed", ["write", "call"])
def test_a_parser_that_did_would_be_found_out(make: Make, monkeypatch: pytest.MonkeyPatch, deed: str) -> None:
    monkeypatch.setattr(children, "PARSER", "tests.integration.extract.parsers:watched")
    extracted = order(make(), deed)
    assert (extracted.status, extracted.error) == (
        "corrupt",
        "the parser was ended by SIGSYS: the file is broken or hostile",
    )


def test_a_child_ends_in_order_when_its_parent_closes_the_socket(make: Make) -> None:
    extractor = make()
    assert extractor.extract(LEASE, "a.rtf", None).status == "ok"
    [child] = extractor._children._idle
    child._sock.close()
    assert child._process.wait(10) == 0
    assert child._last_words() == ""


def test_what_a_file_waits_for_a_parser_is_said(make: Make, misbehaving: None) -> None:
    extractor = make(processes=1)
    order(extractor, "")
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: order(extractor, "sleep").waited_s, range(2)))
    assert min(both) < 0.1
    assert 0.25 < max(both) < 1


def test_a_long_japanese_text_comes_back_whole(tmp_path: Path) -> None:
    text = "見積書の内容" * 500_000
    extractor = Extractor(processes=1, timeout_s=60, memory_bytes=GIB, max_chars=len(text), temp_dir=tmp_path)
    page = f"<html><body><p>{text}</p></body></html>"
    extracted = extractor.extract(page.encode(), "a.html", None)
    extractor.close()
    assert extracted.content == text
    assert not extracted.truncated


def test_a_child_that_cannot_start_is_not_the_file_s_fault(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "PARSER", "worker.no_such_module:parse")
    with pytest.raises(OSError, match="no_such_module"):
        order(make(), "")


def test_children_outlive_the_thread_that_asked_first(make: Make, misbehaving: None) -> None:
    extractor = make()
    thread = threading.Thread(target=order, args=(extractor, ""))
    thread.start()
    thread.join()
    [pid] = extractor._children.pids()
    time.sleep(0.1)
    assert is_alive(pid)


SETTINGS = {
    "sqs_queue_url": "http://localhost:1/queue/a",
    "dlq_queue_url": "http://localhost:1/queue/b",
    "state_bucket": "documents",
    "index_url": "sqlite:///index",
}
PARENT = """
import pathlib, sys
sys.path[:] = {path!r}
from worker.core.extract.extractor import Extractor
extractor = Extractor(processes=1, timeout_s=9, memory_bytes=2**31, max_chars=9, temp_dir=pathlib.Path(sys.argv[1]))
extractor.extract(pathlib.Path(sys.argv[2]), "a.rtf", None)
print("children:", *extractor._children.pids(), flush=True)
sys.stdin.read()
"""


def test_children_die_with_a_parent_that_was_killed_and_its_successor_tidies_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT.format(path=sys.path), str(tmp_path), str(LEASE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        line = next(line for line in parent.stdout if line.startswith("children:"))
        pid = int(line.split()[1])
        assert is_alive(pid)
        parent.kill()
    assert wait_until(lambda: not is_alive(pid))
    assert len(list(tmp_path.iterdir())) == 1
    tidy_temp_dir(settings.load(**SETTINGS, temp_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "module", ["worker.cli", "worker.core.indexing.pipeline", "recovery.cli.main", "recovery.manager.cli"]
)
def test_no_command_loads_a_parser_of_documents(module: str) -> None:
    parsers = {"xberg", "pypdfium2", "olefile", "msoffcrypto", "worker.core.extract.parse"}
    code = f"import sys; sys.path[:] = {sys.path!r}; import {module}; print(sorted({parsers!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"
