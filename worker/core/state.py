"""The state bucket: where the system keeps what it must not forget, under prefixes of its own."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from worker.core.aws import aws_errors
from worker.core.clock import PRECISE_ENOUGH_S
from worker.core.errors import StoreError
from worker.core.objects import ObjectStore

RETRY_PREFIX = "retry-index/"
ARCHIVE_PREFIX = "dlq-archive/"
SPILL_PREFIX = "dlq-spill/"
CONTROL_PREFIX = "s3-index-worker/"
OWN_PREFIXES = (RETRY_PREFIX, ARCHIVE_PREFIX, SPILL_PREFIX, CONTROL_PREFIX)
"""Events under these are skipped in the state bucket, or our own writing would go round for ever."""

PAUSE_KEY = CONTROL_PREFIX + "pause.json"
CALIBRATION_S = 2.2
"""At most so long for the first bearing on S3's clock: two ticks of a second."""


class State:
    """Our records in one bucket. Every method may be called from any thread and raises StoreError."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._s3 = objects.s3
        self.bucket = bucket

    def put(self, key: str, record: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        """Store a record; once this returns it is durable. Metadata is percent-encoded where it is not ASCII."""
        encoded = {
            name: quote(value, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~") for name, value in (metadata or {}).items()
        }
        self._objects.put(self.bucket, key, record, metadata=encoded)

    def get(self, key: str) -> bytes | None:
        """A record; None where there is none."""
        try:
            with aws_errors(StoreError):
                return self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except StoreError as error:
            if error.code == "NoSuchKey":
                return None
            raise

    def delete(self, key: str) -> None:
        """Delete a record; fine if there is none."""
        with aws_errors(StoreError):
            self._s3.delete_object(Bucket=self.bucket, Key=key)

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys under a prefix, in order, read page by page."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with aws_errors(StoreError):
            for page in pages:
                for found in page.get("Contents", []):
                    yield found["Key"]

    def calibrate_clock(self) -> None:
        """Take a bearing on S3's clock: ask until a second's tick was seen from close by, two seconds at most."""
        clock = self._objects.clock
        until = time.monotonic() + CALIBRATION_S
        while clock.uncertainty_s > PRECISE_ENOUGH_S and time.monotonic() < until:
            with contextlib.suppress(StoreError):  # any answer has a Date; one that has none is the preflight's matter
                self._objects.check_bucket(self.bucket)
            time.sleep(PRECISE_ENOUGH_S / 2)

    def pause_record(self) -> dict[str, Any] | None:
        """What `s3-index-worker pause` wrote, if it is in force."""
        found = self.get(PAUSE_KEY)
        if found is None:
            return None
        try:
            record = orjson.loads(found)
        except ValueError:
            record = {}
        if not isinstance(record, dict):
            record = {}
        until_ms = record.get("until_ms")
        if isinstance(until_ms, int) and self._objects.clock.now_ms() >= until_ms:
            return None
        return {"reason": "(the pause record cannot be read; it pauses all the same)", **record}


def dated(at_ms: int) -> str:
    """The day of a moment, as the dated prefixes have it: YYYY-MM-DD, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(at_ms / 1000))
