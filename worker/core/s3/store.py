"""S3 itself: reading objects, and writing our own state.

obstore transfers the bytes, because a GET takes eleven times less CPU than with boto3 (docs/evidence.md, boto3 and
obstore). boto3 is used for keys that obstore would change, and whenever obstore reports an error, because obstore's
exceptions contain no error codes. boto3's answer is then the one that counts.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from worker.core.base.aws import CONNECT_TIMEOUT_S, S3_READ_TIMEOUT_S, Aws, aws_errors, is_amazon
from worker.core.base.clock import S3Clock
from worker.core.base.errors import ObjectGoneError, StoreError
from worker.core.base.jsontypes import JsonObject
from worker.core.s3.objects import ObjectState, Snapshot, carried_unchanged, is_object_fault

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 1024 * 1024
_STANDARD_ATTRIBUTES = frozenset({
    "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Storage-Class"
})  # fmt: skip
_NO_ANSWER = (BaseError, FileNotFoundError, ValueError)
"""What obstore raises: its own errors, FileNotFoundError for a missing key, and ValueError for a key that it rejects."""
_SAYS_NOTHING = frozenset({"400", "403", "404", "NoSuchKey"})
"""Codes of a failed HEAD. They are mere HTTP statuses, because the answer to a HEAD has no body."""
MAX_BUCKETS = 256
"""Number of stores kept open, one for each bucket."""
KNOWN_READABLE = 4
"""Number of recently read keys remembered for each bucket; they can show that a denial concerns only one key."""


class S3ObjectStore:
    """S3, for reading any bucket and for keeping our own state (core/s3/state.py)."""

    def __init__(self, aws: Aws, *, spool_bytes: int, max_object_bytes: int, temp_dir: Path) -> None:
        """Objects over `spool_bytes` go to a file in `temp_dir`; the bytes of those over `max_object_bytes` are not read."""
        self.clock = S3Clock()
        self._aws = aws
        self._s3: S3Client = aws.s3(observe_date=self.clock.observe)
        self._spool_bytes = spool_bytes
        self._max_object_bytes = max_object_bytes
        self._temp_dir = temp_dir
        self._readable: dict[str, list[str]] = {}
        self._store = lru_cache(MAX_BUCKETS)(self._open_store)

    # -- reading -------------------------------------------------------------------------------------------------

    def read(self, bucket: str, key: str, *, admit: Callable[[int], None] = lambda _: None) -> Snapshot:
        """One GET, by obstore where it carries the key and likes the answer, else by boto3."""
        observed_at_ms = self.clock.now_ms()
        if carried_unchanged(key):
            with contextlib.suppress(*_NO_ANSWER):
                snapshot = self._read_fast(bucket, key, observed_at_ms, admit)
                self._remember(bucket, key)
                return snapshot
            # Whatever obstore's error was about: boto3's answer has the error code.
            observed_at_ms = self.clock.now_ms()
        snapshot = self._read_exact(bucket, key, observed_at_ms, admit)
        self._remember(bucket, key)
        return snapshot

    def head(self, bucket: str, key: str) -> tuple[ObjectState | None, int]:
        """One HEAD, by obstore where it carries the key and finds the object, else by boto3."""
        observed_at_ms = self.clock.now_ms()
        if carried_unchanged(key):
            with contextlib.suppress(*_NO_ANSWER):
                meta = obstore.head(self._store(bucket), key)
                return ObjectState(_etag_of(meta), meta["last_modified"], meta["version"]), observed_at_ms
            observed_at_ms = self.clock.now_ms()
        try:
            with aws_errors(StoreError):
                answer = self._s3.head_object(Bucket=bucket, Key=key)
                state = ObjectState(_plain_etag(answer["ETag"]), answer["LastModified"], answer.get("VersionId"))
                return state, observed_at_ms
        except StoreError as error:
            if error.code in _SAYS_NOTHING:
                return None, observed_at_ms
            raise

    def is_object_fault(self, error: StoreError, bucket: str, key: str) -> bool:
        """Whether the object is at fault, and not S3, our credentials or our permissions."""
        return is_object_fault(error, others_readable=lambda: self._others_readable(bucket, key))

    def answers_for(self, bucket: str, key: str) -> bool:
        """Whether this bucket can be read again, at this key or at another; NoSuchKey counts as an answer."""
        return self._can_read(bucket, key) or self._others_readable(bucket, key)

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket exists and may be listed. Raises StoreError with the code."""
        with aws_errors(StoreError):
            self._s3.list_objects_v2(Bucket=bucket, MaxKeys=1)  # a failed HEAD would have no error code

    # -- for our own state (core/s3/state.py) ------------------------------------------------------------------------

    @property
    def s3(self) -> "S3Client":
        """The boto3 client whose answers set the clock."""
        return self._s3

    def peek(self, bucket: str, key: str) -> bytes | None:
        """A record's bytes, read at a tenth of boto3's cost; None if that fails for any reason."""
        if carried_unchanged(key):
            with contextlib.suppress(*_NO_ANSWER):
                answer = obstore.get(self._store(bucket), key)
                _etag_of(answer.meta)
                return answer.bytes().to_bytes()
        return None

    def put(self, bucket: str, key: str, body: bytes, *, metadata: Mapping[str, str]) -> None:
        """Store a JSON record. obstore must support the key, and metadata must be ASCII. Raises StoreError."""
        attributes: Any = {"Content-Type": "application/json", **metadata}
        try:
            obstore.put(self._store(bucket), key, body, attributes=attributes, use_multipart=False)
        except _NO_ANSWER:
            with aws_errors(StoreError):  # boto3's answer has a code; an answer without ETag does not come from S3
                self._s3.put_object(
                    Bucket=bucket, Key=key, Body=body, ContentType="application/json", Metadata=dict(metadata)
                )["ETag"]

    # -- inside --------------------------------------------------------------------------------------------------

    def _open_store(self, bucket: str) -> S3Store:
        endpoint = self._s3.meta.endpoint_url
        custom: JsonObject = {}
        if not is_amazon(endpoint):
            custom = {"endpoint": endpoint, "virtual_hosted_style_request": False}
        return S3Store(
            bucket,
            region=self._aws.region or "us-east-1",
            credential_provider=self._credentials,
            client_options={
                "allow_http": True,
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
                "read_timeout": timedelta(seconds=S3_READ_TIMEOUT_S),
                "timeout": timedelta(minutes=15),
                "pool_idle_timeout": timedelta(seconds=50),
            },
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
            **custom,
        )

    def _credentials(self) -> Any:
        frozen = self._aws.credentials().get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            # botocore refreshes its credentials in time by itself, so ask it often.
            "expires_at": datetime.now(UTC) + timedelta(minutes=1),
        }

    def _read_fast(self, bucket: str, key: str, observed_at_ms: int, admit: Callable[[int], None]) -> Snapshot:
        answer = obstore.get(self._store(bucket), key)
        meta, etag = answer.meta, _etag_of(answer.meta)
        attributes: dict[str, str] = {str(k): v for k, v in answer.attributes.items()}
        content_type = attributes.pop("Content-Type", None)
        size = meta["size"]
        admit(size)
        body: bytes | Path | None = None
        if size <= self._max_object_bytes:
            body = answer.bytes().to_bytes() if size <= self._spool_bytes else self._spool(answer.stream(CHUNK_BYTES))
        return Snapshot(
            bucket, key, observed_at_ms, size, etag, meta["last_modified"], meta["version"], content_type,
            {k: v for k, v in attributes.items() if k not in _STANDARD_ATTRIBUTES}, body,
        )  # fmt: skip

    def _read_exact(self, bucket: str, key: str, observed_at_ms: int, admit: Callable[[int], None]) -> Snapshot:
        try:
            with aws_errors(StoreError):
                answer = self._s3.get_object(Bucket=bucket, Key=key)
                stream = answer["Body"]
                size = answer["ContentLength"]
                admit(size)
                body: bytes | Path | None = None
                with contextlib.closing(stream):
                    if size <= self._max_object_bytes:
                        body = (
                            stream.read() if size <= self._spool_bytes else self._spool(stream.iter_chunks(CHUNK_BYTES))
                        )
                return _snapshot(bucket, key, observed_at_ms, answer, body)
        except StoreError as error:
            if error.code == "NoSuchKey":
                raise ObjectGoneError(f"s3://{bucket}/{key} does not exist") from error
            if error.code == "InvalidObjectState":
                with aws_errors(StoreError):
                    answer_head = self._s3.head_object(Bucket=bucket, Key=key)
                return _snapshot(bucket, key, observed_at_ms, answer_head, None, archived=True)
            raise

    def _spool(self, chunks: Any) -> Path:
        handle, name = tempfile.mkstemp(prefix=f"s3iw-{os.getpid()}-", dir=self._temp_dir)
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    def _remember(self, bucket: str, key: str) -> None:
        known = self._readable.setdefault(bucket, [])
        if key not in known:
            self._readable[bucket] = [*known[-KNOWN_READABLE + 1 :], key]

    def _others_readable(self, bucket: str, key: str) -> bool:
        """Whether another key of this bucket can be read now; if so, a denial concerns only this key."""
        return any(self._can_read(bucket, other) for other in self._candidates(bucket, other_than=key))

    def _candidates(self, bucket: str, *, other_than: str) -> Iterator[str]:
        """Keys that are probably readable: those read recently, then the first few of a listing."""
        tried = {other_than}
        for key in chain(self._readable.get(bucket, ()), self._listed(bucket)):
            if key not in tried:
                tried.add(key)
                yield key

    def _listed(self, bucket: str) -> Iterator[str]:
        with contextlib.suppress(StoreError), aws_errors(StoreError):
            page = self._s3.list_objects_v2(Bucket=bucket, MaxKeys=KNOWN_READABLE)
            yield from [found["Key"] for found in page.get("Contents", [])]

    def _can_read(self, bucket: str, key: str) -> bool:
        try:
            with aws_errors(StoreError):
                self._s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")["Body"].close()
        except StoreError as error:
            return error.code in {"NoSuchKey", "InvalidRange", "InvalidObjectState"}
        return True


def _snapshot(
    bucket: str, key: str, observed_at_ms: int, answer: Any, body: bytes | Path | None, *, archived: bool = False
) -> Snapshot:
    """A snapshot from boto3's answer to a GET or a HEAD."""
    return Snapshot(
        bucket, key, observed_at_ms, answer["ContentLength"], _plain_etag(answer["ETag"]), answer["LastModified"],
        answer.get("VersionId"), answer.get("ContentType"), answer.get("Metadata", {}), body, archived=archived,
    )  # fmt: skip


def _etag_of(meta: Any) -> str:
    """The etag in obstore's answer. Raises ValueError if there is none: then the answer does not come from S3."""
    if not meta["e_tag"]:
        raise ValueError("the answer has no ETag")
    return _plain_etag(meta["e_tag"])


def _plain_etag(etag: str) -> str:
    return etag.strip('"')
