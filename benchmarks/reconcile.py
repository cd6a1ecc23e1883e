"""`python -m benchmarks.reconcile [--objects N] [--rounds N]`: reconcile_index beside a bare boto3 listing of the same bucket.

Both run in turn on the real servers, with nothing else. The bare listing is a loop over boto3's own pages, which does nothing
with them; reconcile_index reads the index at the same time, joins both, and says where each object is. Then its memory is
measured with a listing and an index that are made up while they are read, at 200,000 objects and at 2,000,000.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.environment import HEAP_MB
from benchmarks.measure import peak_rss_mb, quantile
from recovery.operations.reconcile import reconcile, work_on
from recovery.operations.reconciling.request import Reconciled, ReconcileRequest, ReconcileState
from testing.aws import s3_client
from testing.fakes import Fakes
from testing.memory import BUCKET, NOW_MS, Faults, MemoryS3
from testing.memory_index import MemoryIndex
from testing.servers import ElasticMQServer, OpenSearchServer, SeaweedFSServer
from testing.site import Site, make_site
from worker.core.audit import Run
from worker.core.base import logs
from worker.core.base.settings import Settings
from worker.core.clients import Clients, connect
from worker.core.index import ENTRIES_AT_ONCE, Entry, Stored
from worker.core.index.document import Write, encode
from worker.core.index.open import open_index
from worker.core.s3.objects import ListedObject, ListingPage, ObjectState, Place

SIZES = (200_000, 2_000_000)
MISSING_OF = 200
"""Of so many objects that are made up, one is missing."""
WRITTEN_AT_ONCE = 1_000
DAY_MS = 86_400_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconcile", description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3, help="how often each runs (default: 3)")
    parser.add_argument("--made-up", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    logs.configure(level="error", form="json")
    if asked.made_up:
        reconcile_made_up(asked.made_up)
        return
    with tempfile.TemporaryDirectory(prefix="s3iw-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        servers = (
            SeaweedFSServer(folder / "s3"),
            ElasticMQServer(folder / "sqs"),
            OpenSearchServer(folder / "os", heap_mb=HEAP_MB, collector="G1", long_lived=True),
        )
        for server in servers:
            stack.callback(server.stop)
            server.start()
        site = make_site(*servers)
        stack.callback(site.close)
        fill(site, asked.objects)
        compare(site, folder, objects=asked.objects, rounds=asked.rounds)
    for size in SIZES:
        subprocess.run([sys.executable, "-m", "benchmarks.reconcile", "--made-up", str(size)], check=True)


# -- rate --------------------------------------------------------------------------------------------------------


def fill(site: Site, objects: int) -> None:
    """Store so many objects, and index them in no order, as they come in life."""
    etags = site.put_all({f"帳票/{number % 7}/{number:07}.txt": f"{number}" for number in range(objects)})
    items = list(etags.items())
    random.Random(1).shuffle(items)
    index, now_ms = open_index(site.settings()), int(time.time() * 1000)
    for start in range(0, objects, WRITTEN_AT_ONCE):
        index.write([
            Write(site.bucket, key, now_ms, etag, encode({
                "bucket": site.bucket, "file_key": key, "etag": etag, "last_modified": "2026-01-01T00:00:00+00:00",
                "content": "text",
            }))
            for key, etag in items[start : start + WRITTEN_AT_ONCE]
        ])  # fmt: skip
    index.refresh()
    index.close()


def compare(site: Site, folder: Path, *, objects: int, rounds: int) -> None:
    """Run both in turn."""
    os.environ |= site.env
    settings = site.settings().model_copy(update={"reconcile_young_s": 0})
    clients = connect(settings)

    def bare() -> int:
        with closing(s3_client(site.env["AWS_ENDPOINT_URL_S3"])) as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=site.bucket)
            return sum(len(page["Contents"]) for page in pages)

    def ours() -> int:
        return _reconciled(settings, clients, site.bucket, folder).states[ReconcileState.CURRENT]

    runs: dict[str, Callable[[], int]] = {"bare listing": bare, "reconcile_index": ours}
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began, cpu = time.monotonic(), time.process_time()
            found = run()
            took_s, used_s = time.monotonic() - began, time.process_time() - cpu
            assert found == objects, f"{name} found {found:,} of {objects:,}"
            rates[name].append(objects / took_s)
            print(f"{name}: {objects / took_s:,.0f}/s, {used_s / objects * 1e6:.0f} µs of CPU an object", flush=True)
    middle = {name: quantile(all_, 0.5) for name, all_ in rates.items()}
    ratio = middle["reconcile_index"] / middle["bare listing"]
    print(f"reconcile_index is {ratio:.2f} × the bare listing (medians of {rounds})")


def _reconciled(settings: Settings, clients: Clients, bucket: str, folder: Path) -> Reconciled:
    request = ReconcileRequest(Run.new("reconcile_index", action="reconcile", by="benchmark"), Place(bucket, ""))
    with work_on(settings, clients, request, folder / "work") as work:
        result = reconcile(settings, clients, request, work, stop=threading.Event())
    assert result is not None
    return result


# -- memory ------------------------------------------------------------------------------------------------------


def reconcile_made_up(objects: int) -> None:
    """Reconcile so many objects that are made up, and say how much memory this process had at most."""
    fakes = Fakes()
    objects_of, index = _Objects(fakes.faults, objects), _Index(fakes.faults, objects)
    made_up = replace(fakes.clients, objects=objects_of, index=index)
    with tempfile.TemporaryDirectory(prefix="s3iw-bench-") as folder:
        began = time.monotonic()
        result = _reconciled(fakes.settings(), made_up, BUCKET, Path(folder))
        took_s = time.monotonic() - began
    assert (result.objects, result.states[ReconcileState.MISSING]) == (objects, objects // MISSING_OF)
    print(
        f"{objects:,} objects made up: {peak_rss_mb(os.getpid()):.0f} MB at most, {objects / took_s:,.0f}/s", flush=True
    )


def _key(number: int) -> str:
    return f"帳票/{number // 1000:06}/{number:09}.txt"


def _etag(number: int) -> str:
    return f"{number:032x}"


class _Objects(MemoryS3):
    """A bucket of objects that are made up when they are listed."""

    def __init__(self, faults: Faults, count: int) -> None:
        super().__init__(faults)
        self._count = count

    def list_page(self, bucket: str, prefix: str, token: str | None) -> ListingPage:  # noqa: ARG002
        start = int(token or 0)
        end = min(self._count, start + self.page_size)
        found = [ListedObject(_key(number), _etag(number), number, NOW_MS - DAY_MS) for number in range(start, end)]
        return ListingPage(found, str(end) if end < self._count else None)

    def head(self, bucket: str, key: str) -> tuple[ObjectState | None, int]:  # noqa: ARG002
        modified = datetime.fromtimestamp((NOW_MS - DAY_MS) / 1000, UTC)
        return ObjectState(_etag(_number(key)), modified, None), NOW_MS


class _Index(MemoryIndex):
    """Their documents, but for some."""

    def __init__(self, faults: Faults, count: int) -> None:
        super().__init__(faults)
        self._count = count

    def entries(self, bucket: str, prefix: str, *, after: str = "") -> list[Entry]:  # noqa: ARG002
        start = _number(after) + 1 if after else 0
        numbers = range(start, min(self._count, start + ENTRIES_AT_ONCE))
        return [Entry(_key(number), _etag(number), NOW_MS - DAY_MS) for number in numbers if number % MISSING_OF]

    def stored(self, objects: Sequence[tuple[str, str]]) -> list[Stored | None]:
        return [None] * len(objects)


def _number(key: str) -> int:
    return int(key[-13:-4])


if __name__ == "__main__":
    main()
