"""S3 itself: reading objects, and writing our own state.

obstore transfers the bytes, because a GET takes eleven times less CPU than with boto3 (docs/evidence.md, boto3 and
obstore). boto3 is used for keys that obstore would change, and whenever obstore reports an error, because obstore's
exceptions contain no error codes. boto3's answer is then the one that counts.
"""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from worker.core.base import temporary
from worker.core.base.aws import CONNECT_TIMEOUT_S, S3_READ_TIMEOUT_S, Aws, aws_errors, is_amazon
from worker.core.base.classify import is_panic
from worker.core.base.clock import S3Clock
from worker.core.base.errors import ObjectGoneError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.jsontypes import JsonObject
from worker.core.base.logs import emit
from worker.core.base.names import is_host_name
from worker.core.s3.objects import ObjectState, Snapshot, carried_unchanged, is_object_fault
from worker.core.s3.readable import ReadableKeys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 1024 * 1024
T = TypeVar("T")

_STANDARD_ATTRIBUTES = frozenset({
    "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Storage-Class"
})  # fmt: skip
_NO_ANSWER = (BaseError, FileNotFoundError, ValueError)
"""What obstore raises: its own errors, FileNotFoundError for a missing key, ValueError for a key that it rejects; or a panic."""
_SAYS_NOTHING = frozenset({"400", "403", "404", "NoSuchKey"})
"""Codes of a failed HEAD. They are mere HTTP statuses, because the answer to a HEAD has no body."""
MAX_BUCKETS = 256
"""Number of stores kept open, one for each bucket."""


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
        self._readable = ReadableKeys(self._s3)
        self._store = lru_cache(MAX_BUCKETS)(self._open_store)

    # -- reading -------------------------------------------------------------------------------------------------

    def read(self, bucket: str, key: str, *, admit: Callable[[int], None] = lambda _: None) -> Snapshot:
        """One GET, by obstore where it carries the key and likes the answer, else by boto3."""
        observed_at_ms = self.clock.now_ms()
        if self._is_for_obstore(bucket, key):
            quick = _by_obstore(lambda: self._read_fast(bucket, key, observed_at_ms, admit))
            if quick is not None:
                self._readable.remember(bucket, key)
                return quick
            # Whatever obstore's error was about: boto3's answer has the error code.
            observed_at_ms = self.clock.now_ms()
        snapshot = self._read_exact(bucket, key, observed_at_ms, admit)
        self._readable.remember(bucket, key)
        return snapshot

    def head(self, bucket: str, key: str) -> tuple[ObjectState | None, int]:
        """One HEAD, by obstore where it carries the key and finds the object, else by boto3."""
        observed_at_ms = self.clock.now_ms()
        if self._is_for_obstore(bucket, key):
            quick = _by_obstore(lambda: _state_of(obstore.head(self._store(bucket), key)))
            if quick is not None:
                return quick, observed_at_ms
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
        return is_object_fault(error, others_readable=lambda: self._readable.others(bucket, key))

    def answers_for(self, bucket: str, key: str) -> bool:
        """Whether this bucket can be read again, at this key or at another; NoSuchKey counts as an answer."""
        return self._readable.can_read(bucket, key) or self._readable.others(bucket, key)

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

        def get() -> bytes:
            answer = obstore.get(self._store(bucket), key)
            _etag_of(answer.meta)
            return answer.bytes().to_bytes()

        return _by_obstore(get) if self._is_for_obstore(bucket, key) else None

    def put(self, bucket: str, key: str, body: bytes, *, metadata: Mapping[str, str]) -> None:
        """Store a JSON record. obstore must support the key, and metadata must be ASCII. Raises StoreError."""
        attributes: Any = {"Content-Type": "application/json", **metadata}
        if _by_obstore(lambda: obstore.put(self._store(bucket), key, body, attributes=attributes, use_multipart=False)):
            return
        with aws_errors(StoreError):  # boto3's answer has a code; an answer without ETag does not come from S3
            self._s3.put_object(
                Bucket=bucket, Key=key, Body=body, ContentType="application/json", Metadata=dict(metadata)
            )["ETag"]

    # -- inside --------------------------------------------------------------------------------------------------

    def _is_for_obstore(self, bucket: str, key: str) -> bool:
        """Whether obstore asks for exactly this object. On AWS, it puts the bucket's name into the name of the host."""
        return carried_unchanged(key) and (is_host_name(bucket) or not is_amazon(self._s3.meta.endpoint_url))

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
            {k: v for k, v in attributes.items() if k not in _STANDARD_ATTRIBUTES}, body, attributes.get("Content-Encoding"),
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
        try:
            handle, name = tempfile.mkstemp(prefix=temporary.prefix(), dir=self._temp_dir)
        except (
            OSError
        ) as error:  # must not be taken for what obstore or the SDK raise where an object or a token is missing
            raise OSError(errno.EIO, f"TEMP_DIR={self._temp_dir}: {error.strerror}") from error
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)


def _by_obstore(ask: Callable[[], T]) -> T | None:
    """What obstore answers; None whatever it raises, for boto3 is asked next. A panic is no Exception; it is logged."""
    try:
        return ask()
    except _NO_ANSWER:
        return None
    except BaseException as error:
        if not is_panic(error):
            raise
        emit(LogEvent.STORE_PANICKED, "error", error=str(error)[:500])
        return None


def _state_of(meta: Any) -> ObjectState:
    return ObjectState(_etag_of(meta), meta["last_modified"], meta["version"])


def _snapshot(
    bucket: str, key: str, observed_at_ms: int, answer: Any, body: bytes | Path | None, *, archived: bool = False
) -> Snapshot:
    """A snapshot from boto3's answer to a GET or a HEAD."""
    return Snapshot(
        bucket, key, observed_at_ms, answer["ContentLength"], _plain_etag(answer["ETag"]), answer["LastModified"],
        answer.get("VersionId"), answer.get("ContentType"), answer.get("Metadata", {}), body,
        answer.get("ContentEncoding"), archived=archived,
    )  # fmt: skip


def _etag_of(meta: Any) -> str:
    """The etag in obstore's answer. Raises ValueError if there is none: then the answer does not come from S3."""
    if not meta["e_tag"]:
        raise ValueError("the answer has no ETag")
    return _plain_etag(meta["e_tag"])


def _plain_etag(etag: str) -> str:
    return etag.strip('"')
