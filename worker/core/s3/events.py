"""Parse a message body into references to objects. All forms in which S3's events arrive are parsed here.

Sources: AWS, "Event message structure" (S3 User Guide) and "Amazon S3 event message structure for EventBridge"; see also
docs/evidence.md, S3 events.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus

import orjson

from worker.core.base.errors import MalformedEventError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.names import is_bucket_name
from worker.core.base.reasons import Reason

MAX_KEY_BYTES = 1024
"""S3's limit for the length of a key in UTF-8."""
MAX_WRAPPINGS = 3
"""How many SNS notifications may be nested. An event inside two of them is already unusual."""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The object that one event record refers to. Only bucket and key are used: its current state is read from S3."""

    bucket: str
    key: str
    etag: str | None = None
    """The one that the event names, for the operator."""
    may_be_gone: bool = True
    """False for the event of a creation: if the object has gone since, another event says so."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that requires no work, with the reason."""

    reason: str


Item = ObjectRef | Skipped | MalformedEventError

_HARMLESS = (
    "ObjectTagging", "ObjectAcl", "ObjectRestore:Post", "ObjectRestore:Delete", "Replication", "LifecycleTransition",
    "ObjectLifecycle:Transition", "IntelligentTiering", "ObjectAccessed", "Scanner", "TestEvent",
)  # fmt: skip
"""Names of events after which an object is as it was; some are Ceph's or MinIO's (docs/evidence.md, S3 events). Any other
name may stand for a change, whether we know it or not: one observation more costs little."""
_HARMLESS_BEGINNINGS = tuple(f"{name}:" for name in _HARMLESS)
_HARMLESS_EVENTBRIDGE = frozenset({
    "Object Restore Initiated", "Object Restore Expired", "Object Tags Added", "Object Tags Deleted", "Object ACL Updated",
    "Object Storage Class Changed", "Object Access Tier Changed",
})  # fmt: skip
_CLOUDTRAIL = "AWS API Call via CloudTrail"
_HARMLESS_CALLS = frozenset({
    "PutObjectTagging", "DeleteObjectTagging", "PutObjectAcl", "PutObjectRetention", "PutObjectLegalHold", "RestoreObject",
    "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "AbortMultipartUpload", "SelectObjectContent",
})  # fmt: skip
"""API calls after which an object is as it was, besides those that only read."""
_ARN_OF_S3 = re.compile(r"arn:[^:]+:s3:::([^/]+)/(.+)", re.DOTALL)


def parse(body: str, *, default_bucket: str | None = None) -> list[Item]:
    """Parse a message body: one item for each of its records. A malformed record does not affect the others.

    Raises MalformedEventError, which says what is wrong, if the body as a whole is not an event.
    """
    event = _load(body, "the body", Reason.NOT_JSON, Reason.NOT_AN_OBJECT)
    for _ in range(MAX_WRAPPINGS):
        if not _is_sns(event):
            break
        message = _text(event, "Message", "the SNS notification")
        event = _load(message, "the SNS message", Reason.SNS_NOT_JSON, Reason.SNS_NOT_JSON)
    if "Records" in event:
        return list(_records(event["Records"]))
    if event.get("Event") == "s3:TestEvent":
        return [Skipped("test event")]
    if "detail-type" in event:
        return list(_from_eventbridge(event))
    if "key" in event:
        return [_from_job(event, default_bucket)]
    raise MalformedEventError(
        f"the body is a JSON object with {_names(event)}; it should be an S3 event, an SNS notification, an EventBridge "
        'event or {"bucket": …, "key": …}',
        Reason.UNKNOWN_EVENT,
    )


def _load(text: str, what: str, not_json: Reason, no_object: Reason) -> JsonObject:
    try:
        value = orjson.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedEventError(f"{what} is not JSON: {error}", not_json) from None
    if not isinstance(value, dict):
        raise MalformedEventError(f"{what} is JSON, but it is {_kind(value)}; it should be an object", no_object)
    return value


def _is_sns(event: JsonObject) -> bool:
    return event.get("Type") == "Notification" and "Message" in event


def _records(records: object) -> Iterator[Item]:
    if not isinstance(records, list):
        raise MalformedEventError(
            f"Records is {_kind(records)}; it should be a list of records", Reason.INCOMPLETE_EVENT
        )
    if not records:
        yield Skipped("no records")
    for number, record in enumerate(records):
        try:
            yield _from_record(record, f"Records[{number}]")
        except MalformedEventError as error:
            yield error


def _from_record(record: object, where: str) -> ObjectRef | Skipped:
    if not isinstance(record, dict):
        raise MalformedEventError(f"{where} is {_kind(record)}; it should be an object", Reason.INCOMPLETE_EVENT)
    major = str(record.get("eventVersion", "2")).split(".")[0]
    if major != "2":
        sentence = f"{where}.eventVersion is {record['eventVersion']!r}; only 2.x is supported"
        raise MalformedEventError(sentence, Reason.EVENT_VERSION)
    name = str(record.get("eventName", "")).removeprefix("s3:")
    if name in _HARMLESS or name.startswith(_HARMLESS_BEGINNINGS):
        return Skipped("event name")
    s3 = _part(record, "s3", where)
    bucket = _part(s3, "bucket", f"{where}.s3")
    found = _part(s3, "object", f"{where}.s3")
    return _ref(
        bucket=_text(bucket, "name", f"{where}.s3.bucket"),
        key=_decoded(_text(found, "key", f"{where}.s3.object"), f"{where}.s3.object.key"),
        etag=found.get("eTag"),
        may_be_gone=not name.startswith("ObjectCreated"),
    )


def _from_eventbridge(event: JsonObject) -> Iterator[Item]:
    kind = _text(event, "detail-type", "the EventBridge event")
    if kind in _HARMLESS_EVENTBRIDGE:
        yield Skipped("event name")
        return
    detail = _part(event, "detail", "the EventBridge event")
    if kind == _CLOUDTRAIL:
        yield from _from_cloudtrail(detail)
        return
    found = _part(detail, "object", "detail")
    yield _ref(
        bucket=_text(_part(detail, "bucket", "detail"), "name", "detail.bucket"),
        key=_text(found, "key", "detail.object"),  # not URL-encoded, unlike the key in an S3 notification
        etag=found.get("etag"),
        may_be_gone=kind != "Object Created",
    )


def _from_cloudtrail(detail: JsonObject) -> Iterator[Item]:
    """An API call, as CloudTrail records it: the object is named by the request, or several by the resources."""
    name = _text(detail, "eventName", "detail")
    if name in _HARMLESS_CALLS or detail.get("readOnly") is True or detail.get("errorCode"):
        yield Skipped("event name")
        return
    asked = _part(detail, "requestParameters", "detail")
    if "key" in asked:
        bucket, key = (_text(asked, field, "detail.requestParameters") for field in ("bucketName", "key"))
        yield _ref(bucket=bucket, key=key)
        return
    named = [one for resource in _list(detail.get("resources")) if (one := _ARN_OF_S3.fullmatch(_arn(resource)))]
    if not named:
        raise MalformedEventError(
            f"CloudTrail's record of {name} names no object (that of DeleteObjects never does); use S3's own notifications",
            Reason.NAMES_NO_OBJECT,
        )
    for one in named:
        try:
            yield _ref(bucket=one[1], key=one[2])
        except MalformedEventError as error:
            yield error


def _arn(resource: object) -> str:
    return str(resource.get("ARN", "")) if isinstance(resource, dict) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _from_job(event: JsonObject, default_bucket: str | None) -> ObjectRef | Skipped:
    if "bucket" not in event and default_bucket is None:
        raise MalformedEventError("the body names a key but no bucket, and S3_BUCKET is not set", Reason.NO_BUCKET)
    bucket = _text(event, "bucket", "the body") if "bucket" in event else default_bucket or ""
    return _ref(bucket=bucket, key=_text(event, "key", "the body"))


def _ref(*, bucket: str, key: str, etag: object = None, may_be_gone: bool = True) -> ObjectRef:
    for what, text in (("bucket", bucket), ("key", key)):
        if not text:
            raise MalformedEventError(f"the {what} is empty", Reason.EMPTY_NAME)
        if not _is_utf8(text):
            sentence = f"the {what} {text!r} contains a lone surrogate; names in S3 are valid UTF-8"
            raise MalformedEventError(sentence, Reason.BAD_KEY_ENCODING)
    if not is_bucket_name(bucket):
        raise MalformedEventError(
            f"the bucket {bucket[:100]!r} cannot be a bucket's name; it should be one such as our-files, not a URL, path or ARN",
            Reason.BAD_BUCKET_NAME,
        )
    if len(key.encode()) > MAX_KEY_BYTES:
        sentence = f"the key has {len(key.encode())} bytes; S3's limit is {MAX_KEY_BYTES}"
        raise MalformedEventError(sentence, Reason.KEY_TOO_LONG)
    return ObjectRef(bucket, key, etag if isinstance(etag, str) and etag else None, may_be_gone)


def _decoded(key: str, where: str) -> str:
    """Decode the key of an S3 notification, which is form-encoded UTF-8, so `+` means a space."""
    if key.isascii() and "%" not in key and "+" not in key:
        return key
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as error:
        sentence = f"{where} is {key!r}, which cannot be decoded as UTF-8: {error.reason}"
        raise MalformedEventError(sentence, Reason.BAD_KEY_ENCODING) from None


def _text(holder: JsonObject, name: str, where: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        sentence = f"{where} has {_kind(value)} as its {name}; it should be a string"
        raise MalformedEventError(sentence, Reason.INCOMPLETE_EVENT)
    return value


def _part(holder: JsonObject, name: str, where: str) -> JsonObject:
    value = holder.get(name)
    if not isinstance(value, dict):
        sentence = f"{where} has {_kind(value)} as its {name}; it should be an object"
        raise MalformedEventError(sentence, Reason.INCOMPLETE_EVENT)
    return value


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case []:
            return "an empty list"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"


def _names(event: JsonObject) -> str:
    shown = ", ".join(sorted(event)[:5])[:200]
    return f"the fields {shown}" if shown else "no fields"
