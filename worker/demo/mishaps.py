"""The failures that the demo shows: the index becomes unavailable and everything recovers; a broken file is replaced."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from worker.core.base.errors import WorkerError
from worker.core.base.text import escaped
from worker.core.clients import Clients
from worker.core.s3.state import RETRY_PREFIX
from worker.demo.stage import BUCKET

LATE = {
    "障害中/深夜の入荷報告.txt": "障害中に届いた入荷報告。千住倉庫に 240 箱、検品済み。",
    "障害中/night shift notes.txt": "Uploaded during the outage of the index: the night shift found pallet 17 mislabelled.",
}
"""Files that arrive during the outage."""
PLACES = ("2024", "2025", "2026")
"""Folders in which what could not be read arrives for the console."""
MAX_BROKEN = 10
STRANGE = ('{"bucket": "demo-files-of-2019", "key": "台帳/備品.xlsx"}', '{"Records": "none"}')
"""Messages for the console: about a bucket that does not exist, and one that is no event."""
QUESTION = "深夜 入荷"
HEALED_WITHIN_S = 60.0
EMPTY_POLL_S = 0.1


@contextmanager
def index_unavailable(path: Path) -> Iterator[None]:
    """Within this context, no one else can write to the embedded index."""
    with closing(sqlite3.connect(path, isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        yield
        held.execute("ROLLBACK")


def outage(clients: Clients, index: Path, follow: Callable[[], None]) -> tuple[int, float]:
    """Upload files while the index is unavailable, and wait until they are indexed.

    Returns how many documents waited in `retry-index/`, and how many seconds it took to index them once the index was
    available again. Raises WorkerError if they are not indexed automatically.
    """
    with index_unavailable(index):
        for number, (key, text) in enumerate(LATE.items(), 1):
            _put(clients, key, text.encode())
            _wait(lambda: _waiting(clients) == number, follow, f"{key} was not stored in retry-index/")  # noqa: B023
    back = time.monotonic()
    wanted = [(BUCKET, key) for key in LATE]
    _wait(
        lambda: _waiting(clients) == 0 and all(clients.index.stored(wanted)),
        follow,
        "the documents in retry-index/ were not indexed automatically",
    )
    return len(LATE), time.monotonic() - back


def replace(clients: Clients, bad: str, good: Path) -> None:
    """Replace the file that could not be read by a good one."""
    _put(clients, bad, good.read_bytes())


def fail_again(
    clients: Clients, broken: Mapping[str, Path], follow: Callable[[], None], settled: Container[str]
) -> int:
    """Upload files that cannot be read, by key, to each of PLACES, and send STRANGE; how many messages fail then.

    Raises WorkerError if one is not settled.
    """
    keys = {f"{place}/{key}": file for key, file in list(broken.items())[:MAX_BROKEN] for place in PLACES}
    for key, file in keys.items():
        _put(clients, key, file.read_bytes())
    clients.source.send([{"MessageBody": body} for body in STRANGE])
    _wait(lambda: all(escaped(key) in settled for key in keys), follow, "files that cannot be read were not settled")
    return len(keys) + len(STRANGE)


def _put(clients: Clients, key: str, body: bytes) -> None:
    with closing(clients.aws.s3()) as s3:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def recover() -> str:
    """Run `recover_dlq` as an operator does, and return its output. Raises WorkerError if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "recovery.cli.recover_dlq"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise WorkerError(f"recover_dlq ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _waiting(clients: Clients) -> int:
    return clients.state.count(RETRY_PREFIX, at_most=len(LATE) + 1)


def _wait(ready: Callable[[], bool], follow: Callable[[], None], else_say: str) -> None:
    until = time.monotonic() + HEALED_WITHIN_S
    while not ready():
        if time.monotonic() > until:
            raise WorkerError(else_say)
        follow()
        time.sleep(EMPTY_POLL_S)
