"""A fleet in memory, and what `s3-index-worker status` says of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from testing.fakes import Fakes
from testing.memory import NOW_MS
from worker.core.s3.workers import WorkerRecord, write_worker
from worker.status.facts import Status, read_status

MINUTE_MS = 60_000
WORKING = {"done": 12_345.0, "failed": 3.0, "release": 0.0, "stored_for_retry": 1.0, "lag_s": 2.0}


def worker(name: str, *, ago_ms: int = 0, **more: Any) -> WorkerRecord:
    """A record that was written so long ago, of a worker that serves unless `more` says otherwise."""
    given: dict[str, Any] = {"state": "serving", "host": name, "version": "1.0", "figures": WORKING, **more}
    return WorkerRecord(name, written_at_ms=NOW_MS - ago_ms, started_at_ms=NOW_MS - ago_ms - 3 * MINUTE_MS, **given)


@pytest.fixture
def fleet(fakes: Fakes) -> Callable[..., None]:
    def write(*records: WorkerRecord) -> None:
        for one in records:
            write_worker(fakes.state, one)

    return write


@pytest.fixture
def status(fakes: Fakes) -> Callable[..., Status]:
    def read(**settings: Any) -> Status:
        return read_status(fakes.settings(**settings), fakes.clients)

    return read


@pytest.fixture
def night(fakes: Fakes, fleet: Callable[..., None]) -> Fakes:
    """All that can be wrong at once, except a part that cannot be read."""
    index: dict[str, Any] = {
        "breakers": {"index": "https://index:9200 cannot be reached: ConnectTimeout"},
        "open_breakers": 1,
    }
    fleet(
        worker("a", **index, breakers_since={"index": NOW_MS - 9 * MINUTE_MS}),
        worker("b", **index, breakers_since={"index": NOW_MS - 7 * MINUTE_MS}, state="resting"),
        worker("c", failing_calls=("sqs:DeleteMessage on files has been failing: AccessDenied",)),
        worker("d", ago_ms=30 * MINUTE_MS),
        worker("stopped", ago_ms=30 * MINUTE_MS, state="stopped"),
    )
    for number in range(4):
        fakes.dead_letter(f"m{number}", "a.txt")
    fakes.dlq.hidden.add("m3")
    records = {
        "dead-letters/2026-11-03/m9.json", "retry-index/2026-11-17/b/k.1.json", "retry-index/2026-11-18/b/k.2.json",
        "retry-index/parked/2026-11-02/b/k.1.json", "retry-index/held/s3%3A%2F%2Fb%2F/2026-11-18/b/k.json",
    }  # fmt: skip
    fakes.s3.records |= dict.fromkeys(records, b"{}")
    pause = {"reason": "index upgrade", "by": "hanako@host", "at": "2026-11-18T01:00:00+00:00", "until_ms": None}
    fakes.s3.records["s3-index-worker/pause.json"] = json.dumps(pause).encode()
    return fakes


def rendered(table: Any, columns: int) -> list[str]:
    """The lines of a table on a terminal of so many columns."""
    console = Console(width=columns, record=True, color_system=None, file=None, quiet=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()
