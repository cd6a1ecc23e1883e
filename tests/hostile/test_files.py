"""Attack 7, the files themselves, through the real pool of children: each is answered in its time, and nothing is left.

`make test` breaks two hundred copies of good files, `make chaos` (FULL_SIZE) thirty thousand.
"""

import contextlib
import http.server
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.hostile import LONG, Attack, attacks
from tests.support.hostile_copies import mutations
from tests.support.size import sized
from worker.core.extract.extractor import Extractor

COPIES = sized(30_000, usual=200)
TIMEOUT_S = 30.0
SLACK_S = 10.0
"""Beyond the timeout: to start a child, on a machine that is busy."""
MEMORY_BYTES = 1024**3
GROWTH_BYTES = 64 * 1024**2
"""By how much the process may grow over all files; one that leaked each body would by gigabytes."""


@pytest.fixture(scope="module")
def heard() -> Iterator[tuple[str, list[str]]]:
    """A listener that must not be called, and the requests it received."""
    asked: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def pool(folder: Path) -> Iterator[Extractor]:
    """Two children; when they are closed none is alive, and their folder is empty."""
    extractor = Extractor(
        processes=2, timeout_s=TIMEOUT_S, memory_bytes=MEMORY_BYTES, max_chars=1_000_000, temp_dir=folder
    )
    try:
        yield extractor
        pids = extractor._children.pids()
    finally:
        extractor.close()
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert list(folder.iterdir()) == []


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_every_hostile_file_is_answered_in_its_time_and_leaves_nothing(heard, tmp_path):
    url, asked = heard
    secret = Path("/etc/passwd").read_text().splitlines()[0]
    files = [file for file in attacks(url) if sized(1, usual=0) or file.what not in LONG]
    before = resident_bytes()
    slow, leaks = {}, []
    with pool(tmp_path) as extractor:
        for file in files:
            started = time.monotonic()
            extracted = extractor.extract(file.body, file.key, None)
            if time.monotonic() - started > TIMEOUT_S + SLACK_S:
                slow[file.what] = time.monotonic() - started
            if secret in extracted.content:
                leaks.append(file.what)
    assert slow == {}
    assert leaks == []
    assert asked == []
    assert resident_bytes() - before < GROWTH_BYTES
    assert not Path("/tmp/s3iw-hostile").exists()


@pytest.mark.slow("thousands of broken files")
@pytest.mark.timeout(sized(1_800, usual=180))
def test_no_broken_copy_of_a_good_file_does_harm(tmp_path):
    found: Counter[str] = Counter()

    def read(file: Attack) -> str:
        return extractor.extract(file.body, file.key, None).status

    with pool(tmp_path) as extractor, ThreadPoolExecutor(2) as threads:
        before = 0
        for part in range(0, COPIES, 200):
            batch = list(mutations(200, seed=part))
            found.update(threads.map(read, batch))
            before = before or resident_bytes()  # the originals are made by now
    assert sum(found.values()) == COPIES
    assert resident_bytes() - before < GROWTH_BYTES
    assert found["ok"] > 0
    assert found["corrupt"] > 0
