"""A bucket in memory that existed before the worker: for the tests of `backfill`."""

import gzip
import hashlib
import json
import threading
from urllib.parse import quote_plus

from recovery.operations.backfill import backfill
from recovery.operations.backfilling.checkpoint import BACKFILL_PREFIX
from recovery.operations.backfilling.request import BackfillRequest
from recovery.operations.backfilling.sources import Listing
from recovery.operations.progress import ignore_progress
from testing.memory import BUCKET
from worker.core.audit import Run
from worker.core.s3.objects import Place

RUN = Run("run-1", "backfill_index", "backfill", "ann@host")
WHOLE = Place(BUCKET, "")
COLUMNS = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size"


class Bucket:
    """The bucket, and what a backfill of it does."""

    def __init__(self, fakes, count=0):
        self.fakes = fakes
        self.settings = fakes.settings()
        self.put(*(f"{number:04}" for number in range(count)))

    def put(self, *keys):
        for key in keys:
            self.fakes.s3.bodies[key] = b"text of " + key.encode()

    def listing(self, *places):
        return Listing(self.fakes.s3, self.fakes.state, places or (WHOLE,))

    def run(self, source=None, *, stop=None, on_progress=ignore_progress, **how):
        request = BackfillRequest(RUN, **{"max_depth": 1_000_000, **how})
        return backfill(
            self.settings, self.fakes.clients, request, source or self.listing(), stop=stop or threading.Event(),
            on_progress=on_progress,
        )  # fmt: skip

    def results(self, source=None, **how):
        """The number of objects for each result, of those that occurred."""
        report = self.run(source, **how)
        assert report.failure is None, report.failure
        return {name: count for name, count in report.numbers().items() if count}

    def jobs(self):
        """The keys of the jobs in the queue, in order."""
        return [json.loads(message.body)["key"] for message in self.fakes.source.messages.values()]

    def indexed(self):
        return sorted(key for _, key in self.fakes.index.documents)

    def checkpoints(self):
        return self.fakes.under(BACKFILL_PREFIX)


def put_inventory(bodies, rows, *, files=1, source=BUCKET, columns=COLUMNS, form="CSV", raw=None, **more):
    """An inventory in a bucket of bodies, of rows as its columns say, spread over so many files; the key of its manifest."""
    listed = []
    for number in range(files):
        key = f"lists/data/{number}.csv.gz"
        lines = "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows[number::files])
        bodies[key] = raw or gzip.compress(lines.encode())
        listed.append({"key": key, "size": len(bodies[key]), "MD5checksum": hashlib.md5(bodies[key]).hexdigest()})
    manifest = {
        "sourceBucket": source, "destinationBucket": f"arn:aws:s3:::{BUCKET}", "version": "2016-11-30",
        "creationTimestamp": "1514944800000", "fileFormat": form, "fileSchema": columns, "files": listed,
    }  # fmt: skip
    bodies["lists/manifest.json"] = json.dumps({**manifest, **more}).encode()
    return "lists/manifest.json"


def row(key, *, latest="true", deleted="false", version="v1"):
    return BUCKET, quote_plus(key), version, latest, deleted, "4"
