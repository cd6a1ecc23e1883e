"""S3 itself: reading objects, and writing our own state.

obstore transfers the bytes, because a GET takes eleven times less CPU than with boto3 (docs/evidence.md, boto3 and
obstore). Addresses, proxies and certificates are those of boto3. boto3 is used for keys that obstore would change, and
whenever obstore reports an error, because obstore's exceptions contain no error codes: then boto3's answer counts.
"""

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import certifi
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from worker.core.base import temporary
from worker.core.base.address import proxy_for
from worker.core.base.aws import CONNECT_TIMEOUT_S, S3_READ_TIMEOUT_S, Aws, BucketLocation, BucketLocator, aws_errors
from worker.core.base.classify import is_panic
from worker.core.base.clock import S3Clock
from worker.core.base.errors import ObjectGoneError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.throttle import Throttle, says_too_many
from worker.core.s3.answers import etag_of, plain_etag, snapshot_of, state_of
from worker.core.s3.bucket_store import BucketStore, bucket_stores, has_certificates
from worker.core.s3.listing import list_page
from worker.core.s3.objects import ListingPage, ObjectState, Snapshot, carried_unchanged, is_object_fault
from worker.core.s3.readable import ReadableKeys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 1024 * 1024
T = TypeVar("T")
Condition = Mapping[str, str]
"""When a record is to be stored: `{"IfNoneMatch": "*"}`, `{"IfMatch": etag}`, or always."""
ALWAYS: Condition = {}

_STANDARD_ATTRIBUTES = frozenset({
    "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Storage-Class"
})  # fmt: skip
_NO_ANSWER = (BaseError, FileNotFoundError, ValueError)
"""What obstore raises: its own errors, FileNotFoundError for a missing key, ValueError for a key that it rejects; or a panic."""
_SAYS_NOTHING = frozenset({"400", "403", "404", "NoSuchKey"})
"""Codes of a failed HEAD. They are mere HTTP statuses, because the answer to a HEAD has no body."""
NOWHERE = "http://127.0.0.1:9"
EVERYWHERE = "*,0.0.0.0/0,::/0"
"""What obstore is told to use no proxy for. Without a proxy of its own, it would take one from the environment."""


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
        self._store_of = bucket_stores(BucketLocator(self._s3), self._open_store)

    # -- reading -------------------------------------------------------------------------------------------------

    def read(self, bucket: str, key: str, *, admit: Callable[[int], None] = lambda _: None) -> Snapshot:
        """One GET, by obstore where it carries the key and likes the answer, else by boto3."""
        observed_at_ms = self.clock.now_ms()
        asked = self._asked(bucket, key)
        snapshot = asked.by_obstore(lambda store: self._read_fast(store, bucket, key, observed_at_ms, admit))
        if snapshot is None:  # whatever obstore's error was about: boto3's answer has the error code
            snapshot = self._read_exact(bucket, key, self.clock.now_ms(), admit)
            asked.answered_by_boto3()
        self._readable.remember(bucket, key)
        return snapshot

    def head(self, bucket: str, key: str) -> tuple[ObjectState | None, int]:
        """One HEAD, by obstore where it carries the key and finds the object, else by boto3."""
        observed_at_ms = self.clock.now_ms()
        asked = self._asked(bucket, key)
        quick = asked.by_obstore(lambda store: state_of(obstore.head(store, key)))
        if quick is not None:
            return quick, observed_at_ms
        observed_at_ms = self.clock.now_ms()
        try:
            with aws_errors(StoreError):
                answer = self._s3.head_object(Bucket=bucket, Key=key)
                state = ObjectState(plain_etag(answer["ETag"]), answer["LastModified"], answer.get("VersionId"))
        except StoreError as error:
            if error.code in _SAYS_NOTHING:
                return None, observed_at_ms
            raise
        asked.answered_by_boto3()
        return state, observed_at_ms

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

    def list_page(self, bucket: str, prefix: str, token: str | None) -> ListingPage:
        """One ListObjectsV2 call, by boto3."""
        return list_page(self._s3, bucket, prefix, token)

    # -- for our own state (core/s3/state.py) ------------------------------------------------------------------------

    @property
    def s3(self) -> "S3Client":
        """The boto3 client whose answers set the clock."""
        return self._s3

    def peek(self, bucket: str, key: str) -> tuple[bytes, str] | None:
        """A record's bytes and its ETag header, read at a tenth of boto3's cost; None if that fails for any reason."""

        def get(store: S3Store) -> tuple[bytes, str]:
            answer = obstore.get(store, key)
            etag_of(answer.meta)
            return answer.bytes().to_bytes(), str(answer.meta["e_tag"])

        return self._asked(bucket, key).by_obstore(get)

    def put(self, bucket: str, key: str, body: bytes, *, metadata: Mapping[str, str], when: Condition = ALWAYS) -> str:
        """Store a JSON record, and return its ETag header. obstore must support the key, and metadata must be ASCII.

        Raises StoreError, with S3's code where the condition is not met. That can also mean that this very record was stored,
        and the first answer was lost.
        """
        attributes: Any = {"Content-Type": "application/json", **metadata}
        asked = self._asked(bucket, key)
        done = asked.by_obstore(
            lambda store: obstore.put(store, key, body, attributes=attributes, mode=_mode(when), use_multipart=False)
        )
        if done and done["e_tag"]:
            return done["e_tag"]
        with aws_errors(StoreError):  # boto3's answer has a code; an answer without ETag does not come from S3
            conditions: Any = dict(when)
            etag = self._s3.put_object(
                Bucket=bucket, Key=key, Body=body, ContentType="application/json", Metadata=dict(metadata), **conditions
            )["ETag"]
        asked.answered_by_boto3()
        return etag

    # -- inside --------------------------------------------------------------------------------------------------

    def _asked(self, bucket: str, key: str) -> "_Asked":
        """One request for an object: to obstore where it asks for exactly this object, and to boto3 where that fails."""
        return _Asked(self._store_of(bucket) if carried_unchanged(key) else None, self._aws.throttles.s3)

    def _open_store(self, bucket: str, location: BucketLocation) -> S3Store | None:
        """obstore's store for a bucket; the address contains the bucket already, in whichever place boto3 puts it.

        None if obstore does not take an address, a proxy or a certificate that boto3 may take.
        """
        try:
            return self._store_at(bucket, location)
        except (*_NO_ANSWER, OSError) as error:
            emit(
                LogEvent.STORE_OBSTORE_FAILING,
                "warning",
                bucket=bucket,
                error=type(error).__name__,
                rest_s=float("inf"),
            )
            return None

    def _store_at(self, bucket: str, location: BucketLocation) -> S3Store:
        client: Any = {
            "allow_http": True,
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
            "read_timeout": timedelta(seconds=S3_READ_TIMEOUT_S),
            "timeout": timedelta(minutes=15),
            "pool_idle_timeout": timedelta(seconds=50),
        }
        proxy = proxy_for(self._s3.meta.endpoint_url)
        client |= {"proxy_url": proxy} if proxy else {"proxy_url": NOWHERE, "proxy_excludes": EVERYWHERE}
        trusted = self._aws.certificates() or (None if has_certificates() else Path(certifi.where()))
        if trusted is not None and location.url.startswith("https:"):
            client["root_certificate"] = trusted.read_text()
            if proxy is not None:
                client["proxy_ca_certificate"] = client["root_certificate"]
        return S3Store(
            bucket,
            aws_endpoint_url_s3=location.url,
            virtual_hosted_style_request=True,
            region=location.region,
            credential_provider=self._credentials,
            client_options=client,
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
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

    def _read_fast(
        self, store: S3Store, bucket: str, key: str, observed_at_ms: int, admit: Callable[[int], None]
    ) -> Snapshot:
        answer = obstore.get(store, key)
        meta, etag = answer.meta, etag_of(answer.meta)
        attributes: dict[str, str] = {str(k): v for k, v in answer.attributes.items()}
        content_type = attributes.pop("Content-Type", None)
        size = meta["size"]
        admit(size)
        body: bytes | Path | None = None
        if size <= self._max_object_bytes:
            body = (
                answer.bytes().to_bytes()
                if size <= self._spool_bytes
                else temporary.spool(answer.stream(CHUNK_BYTES), self._temp_dir)
            )
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
                            stream.read()
                            if size <= self._spool_bytes
                            else temporary.spool(stream.iter_chunks(CHUNK_BYTES), self._temp_dir)
                        )
                return snapshot_of(bucket, key, observed_at_ms, answer, body)
        except StoreError as error:
            if error.code == "NoSuchKey":
                raise ObjectGoneError(f"s3://{bucket}/{key} does not exist") from error
            if error.code == "InvalidObjectState":
                with aws_errors(StoreError):
                    answer_head = self._s3.head_object(Bucket=bucket, Key=key)
                return snapshot_of(bucket, key, observed_at_ms, answer_head, None, archived=True)
            raise


class _Asked:
    """One request: to obstore, then to boto3 where obstore could not make it."""

    def __init__(self, bucket_store: BucketStore[S3Store] | None, throttle: Throttle) -> None:
        self._bucket_store = bucket_store
        self._throttle = throttle
        self._error: BaseException | None = None

    def by_obstore(self, ask: Callable[[S3Store], T]) -> T | None:
        """What obstore answers; None whatever it raises, for boto3 is asked next. A panic is no Exception; it is logged."""
        if self._bucket_store is None or (store := self._bucket_store.store) is None:
            return None
        self._throttle.wait()
        try:
            found = ask(store)
        except _NO_ANSWER as error:
            self._error = error
            if says_too_many(str(error)):
                self._throttle.refused()
            return None
        except BaseException as error:
            if not is_panic(error):
                raise
            emit(LogEvent.STORE_PANICKED, "error", error=str(error)[:500])
            return None
        self._bucket_store.succeeded()
        return found

    def answered_by_boto3(self) -> None:
        """Note that boto3 made the request; a store that only boto3 can use is left alone for a while."""
        if self._bucket_store is not None and self._error is not None:
            self._bucket_store.boto3_succeeded(self._error)


def _mode(when: Condition) -> Any:
    """obstore's name for a condition of S3."""
    if "IfNoneMatch" in when:
        return "create"
    return {"e_tag": when["IfMatch"]} if "IfMatch" in when else "overwrite"
