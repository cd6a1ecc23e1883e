"""The state bucket, in which the system keeps its own records, under its own prefixes."""

import contextlib
import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from worker.core.base.aws import aws_errors
from worker.core.base.clock import PRECISE_ENOUGH_S
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.jsontypes import JsonObject
from worker.core.base.logs import emit
from worker.core.base.text import header_value
from worker.core.s3.store import S3ObjectStore

RETRY_PREFIX = "retry-index/"
PARKED_PREFIX = RETRY_PREFIX + "parked/"
HELD_PREFIX = RETRY_PREFIX + "held/"
ARCHIVE_PREFIX = "dlq-archive/"
DEAD_LETTERS_PREFIX = "dead-letters/"
CONTROL_PREFIX = "s3-index-worker/"
OWN_PREFIXES = (RETRY_PREFIX, ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX, CONTROL_PREFIX)
"""Events for keys under these are skipped in the state bucket; otherwise, writing a record would cause events for ever."""

MAX_KEY_BYTES = 1024
MAX_METADATA_CHARS = 1000
"""The encoded length of one value of a record's metadata; S3 allows 2 KB for all of them together."""
MAX_SEGMENT_BYTES = 255
"""S3 allows longer segments; some compatible stores (SeaweedFS) do not."""
MAX_NAME_CHARS = 160
"""The length of a segment that is made from someone's id, which leaves room for what stands before and after it."""
MAX_DELETES = 1000
"""The largest number of keys in one DeleteObjects call (S3 API reference)."""
_NOT_CARRIED = re.compile("[\x00-\x1f\x7f%~]|^/|/$|(?<=/)/|(?<![^/])\\.{1,2}(?![^/])")
"""What is percent-encoded in a user's key: what obstore does not carry, and the two characters with a meaning of their own in
our names, so that two keys never get the same name."""

NO_BATCHES = frozenset({
    "MissingContentMD5", "InvalidDigest", "BadDigest", "InvalidRequest", "NotImplemented", "MethodNotAllowed", "MalformedXML",
    "MissingRequestBodyError",
})  # fmt: skip
"""Codes with which stores refuse the SDK's DeleteObjects as such."""
NO_CONDITIONS = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed"})
"""Codes with which stores refuse conditional writes as such."""

PAUSE_KEY = CONTROL_PREFIX + "pause.json"
CALIBRATION_S = 2.2
"""Time limit for the first calibration with S3's clock, which needs two changes of the second."""


class State(Protocol):
    """The system's records in one bucket. Every method may be called from any thread and raises StoreError."""

    @property
    def bucket(self) -> str:
        """Its name."""

    def put(self, key: str, record: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        """Store a record; it is durable once this returns. Values of metadata are percent-encoded where needed, and cut."""

    def get(self, key: str) -> bytes | None:
        """A record; None if it does not exist."""

    def delete(self, key: str) -> None:
        """Delete a record. It is no error if it does not exist."""

    def delete_all(self, keys: Sequence[str]) -> None:
        """Delete records. Raises StoreError if any was not deleted; deleting again is no error."""

    def destroy(self, key: str, *, but_latest: bool = False) -> None:
        """Delete every version of a record, or all but the latest. It is no error if there is none."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys under a prefix, in order, read page by page."""

    def modified(self, prefix: str) -> Iterator[tuple[str, int]]:
        """The same, each with when it was last written: ms since the epoch, which S3 knows to the second."""

    def folders(self, prefix: str) -> Iterator[str]:
        """What keys with a prefix begin with, up to the next slash and with it, in order; each once."""

    def count(self, prefix: str, *, at_most: int) -> int:
        """The number of records under a prefix, counted up to `at_most`."""

    def claim(self, key: str, record: bytes, *, instead_of: str | None) -> str | None:
        """Write a record only if nobody else has: the new etag, or None where another was first.

        `instead_of` is the etag of the record that may be replaced; None if there must not be one yet.
        """

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        """A record and its etag, for `claim`; None if there is no record."""

    def calibrate_clock(self) -> None:
        """Wait until S3's clock is known well enough for an observation's time, two seconds at most."""

    def pause_record(self) -> JsonObject | None:
        """What `s3-index-worker pause` wrote, if it is in force."""

    def notifications(self) -> JsonObject:
        """The bucket's notifications, as GetBucketNotificationConfiguration answers."""


class S3State:
    """Our records in a bucket of S3."""

    def __init__(self, objects: S3ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._s3 = objects.s3
        self.bucket = bucket
        self._deletes_singly = False
        """Whether the store has refused to delete many records in one call."""

    def put(self, key: str, record: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        """One PUT, by obstore."""
        encoded = {name: header_value(value, MAX_METADATA_CHARS) for name, value in (metadata or {}).items()}
        self._objects.put(self.bucket, key, record, metadata=encoded)

    def get(self, key: str) -> bytes | None:
        """The same without its etag."""
        found = self.get_with_etag(key)
        return None if found is None else found[0]

    def notifications(self) -> JsonObject:
        """One call, by boto3."""
        with aws_errors(StoreError):
            return dict(self._s3.get_bucket_notification_configuration(Bucket=self.bucket))

    def delete(self, key: str) -> None:
        """One DELETE."""
        with aws_errors(StoreError):
            self._s3.delete_object(Bucket=self.bucket, Key=key)

    def destroy(self, key: str, *, but_latest: bool = False) -> None:
        """List the versions of a key, and delete them, its delete markers too."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=key)
        with aws_errors(StoreError):
            for page in pages:
                for found in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                    if found["Key"] == key and not (but_latest and found["IsLatest"]):
                        self._s3.delete_object(Bucket=self.bucket, Key=key, VersionId=found["VersionId"])

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys under a prefix, a listing's page at a time."""
        return (key for key, _ in self.modified(prefix))

    def modified(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys and times under a prefix, a listing's page at a time."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with aws_errors(StoreError):
            for page in pages:
                for found in page.get("Contents", []):
                    yield found["Key"], int(found["LastModified"].timestamp() * 1000)

    def folders(self, prefix: str) -> Iterator[str]:
        """A thousand folders a call, however much is in them."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        with aws_errors(StoreError):
            for page in pages:
                yield from (found["Prefix"] for found in page.get("CommonPrefixes", []))

    def delete_all(self, keys: Sequence[str]) -> None:
        """Delete records, a thousand a call."""
        for key in keys:
            if not key.isprintable():  # the request is XML, which cannot contain control characters
                self.delete(key)
        plain = [key for key in keys if key.isprintable()]
        for start in range(0, len(plain), MAX_DELETES):
            self._delete_some(plain[start : start + MAX_DELETES])

    def _delete_some(self, keys: Sequence[str]) -> None:
        """Delete up to a thousand records: in one call, or one by one where the store does not take such calls of ours.

        Some stores want Content-MD5, which the SDK replaces by newer checksums, or do not have the call.
        """
        if not self._deletes_singly:
            try:
                with aws_errors(StoreError):
                    objects: Any = [{"Key": key} for key in keys]
                    answer = self._s3.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
            except StoreError as error:
                if error.code not in NO_BATCHES:
                    raise
                self._deletes_singly = True
                emit(
                    LogEvent.STATE_FALLBACK, "warning", what="DeleteObjects", instead="single deletes", error=str(error)
                )
            else:
                for failed in answer.get("Errors", []):
                    raise StoreError(
                        f"{failed.get('Key')}: {failed.get('Message')}", code=failed.get("Code", "Unknown")
                    )
                return
        for key in keys:
            self.delete(key)

    def count(self, prefix: str, *, at_most: int) -> int:
        """How many records a listing shows, `at_most` at most."""
        return sum(1 for _ in islice(self.keys(prefix), at_most))

    def claim(self, key: str, record: bytes, *, instead_of: str | None) -> str | None:
        """A conditional PUT."""
        when = {"IfNoneMatch": "*"} if instead_of is None else {"IfMatch": instead_of}
        try:
            return self._objects.put(self.bucket, key, record, metadata={}, when=when)
        except StoreError as error:
            if error.code in {"PreconditionFailed", "ConditionalRequestConflict", "412", "NoSuchKey"}:
                return None
            raise

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        """One GET, by obstore; by boto3, whose refusal has a code, where that finds nothing."""
        return self._objects.peek(self.bucket, key) or self._by_boto3(key)

    def _by_boto3(self, key: str) -> tuple[bytes, str] | None:
        try:
            with aws_errors(StoreError):
                answer = self._s3.get_object(Bucket=self.bucket, Key=key)
                return answer["Body"].read(), answer["ETag"]
        except StoreError as error:
            if error.code == "NoSuchKey":
                return None
            raise

    def calibrate_clock(self) -> None:
        """Ask S3 until a second's tick was seen from close by."""
        clock = self._objects.clock
        until = time.monotonic() + CALIBRATION_S
        while clock.uncertainty_s > PRECISE_ENOUGH_S and time.monotonic() < until:
            with contextlib.suppress(
                StoreError
            ):  # any answer has a Date header; the preflight reports if there is none
                self._objects.check_bucket(self.bucket)
            time.sleep(PRECISE_ENOUGH_S / 2)

    def pause_record(self) -> JsonObject | None:
        """The pause that is in force, asked of S3 by boto3, whose answers set the clock."""
        found = self._by_boto3(PAUSE_KEY)
        return None if found is None else pause_in_force(found[0], self._objects.clock.now_ms())


def pause_in_force(raw: bytes, now_ms: int) -> JsonObject | None:
    """A stored pause record, unless it has run out; one that cannot be read pauses all the same."""
    try:
        record = orjson.loads(raw)
    except ValueError:
        record = {}
    if not isinstance(record, dict):
        record = {}
    until_ms = record.get("until_ms")
    if isinstance(until_ms, int) and now_ms >= until_ms:
        return None
    readable = {name: value for name, value in record.items() if isinstance(value, str | int)}
    return {
        **readable,
        "reason": str(readable.get("reason", "(the pause record cannot be read; it pauses all the same)")),
    }


def dated(at_ms: int) -> str:
    """The date that is used in prefixes: YYYY-MM-DD in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(at_ms / 1000))


def fitting_key(prefix: str, name: str, suffix: str, *, reserve: int = 0) -> str:
    """A key for one of our records that contains a user's name, such as a key, and works with every store and client.

    Characters and segments that obstore does not support are percent-encoded, and too long a name gets a hashed tail. No
    two names get the same key. `reserve`: how many bytes longer the prefix may become later.
    """
    fit = _NOT_CARRIED.sub(lambda m: "".join(f"%{byte:02X}" for byte in m[0].encode()), name)
    room = MAX_KEY_BYTES - reserve - len(prefix.encode()) - len(suffix.encode())
    last = len(fit.rsplit("/", 1)[-1].encode()) + len(suffix.encode())
    if len(fit.encode()) > room or max(last, *(len(part.encode()) for part in fit.split("/"))) > MAX_SEGMENT_BYTES:
        fit = _shortened(fit, min(room, MAX_SEGMENT_BYTES - len(suffix.encode())))
    return prefix + fit + suffix


def safe_name(text: str) -> str:
    """A text of anyone's as one segment of a key: what is not a letter of ASCII, a digit, `.`, `_` or `-` is percent-encoded.

    Too long a text gets a hashed tail. No two texts get the same name.
    """
    name = quote(text.encode("utf-8", "surrogatepass"), safe="").replace("~", "%7E")
    name = name if name.strip(".") else name.replace(".", "%2E")
    return name if len(name) <= MAX_NAME_CHARS else _shortened(name, MAX_NAME_CHARS)


def _shortened(name: str, room: int) -> str:
    """The beginning of the name, without slashes, and a SHA-256 of the whole name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    head = name.replace("/", "%2F").encode()[: room - len(digest) - 1].decode("utf-8", "ignore")
    return f"{head}~{digest}"
