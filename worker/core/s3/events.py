"""Parse a message body into references to objects. All forms in which S3's events arrive are parsed here.

Sources: AWS, "Event message structure" (S3 User Guide) and "Amazon S3 event message structure for EventBridge"; see also
docs/evidence.md, S3 events.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote_plus

import orjson

from worker.core.base.errors import MalformedEventError
from worker.core.base.jsontypes import JsonObject

MAX_KEY_BYTES = 1024
"""S3's limit for the length of a key in UTF-8."""
MAX_WRAPPINGS = 3
"""How many SNS notifications may be nested. An event inside two of them is already unusual."""


class EventKind(StrEnum):
    """What the event reports. Whatever it is, the object's current state is observed."""

    CREATED = "created"
    REMOVED = "removed"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The object that one event record refers to. Only bucket and key are used: its current state is read from S3."""

    bucket: str
    key: str
    kind: EventKind = EventKind.CREATED
    version_id: str | None = None
    etag: str | None = None
    size: int | None = None
    """Bytes; None if the event does not give a size (removals), which is not the same as 0."""
    sequencer: str | None = None
    event_time: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that requires no work, with the reason."""

    reason: str


Item = ObjectRef | Skipped | MalformedEventError

_KINDS = {
    "ObjectCreated": EventKind.CREATED,
    "ObjectRemoved": EventKind.REMOVED,
    "LifecycleExpiration": EventKind.REMOVED,
}
_RESTORED = "ObjectRestore:Completed"
_EVENTBRIDGE_KINDS = {
    "Object Created": EventKind.CREATED,
    "Object Deleted": EventKind.REMOVED,
    "Object Restore Completed": EventKind.RESTORED,
}


def parse(body: str, *, default_bucket: str | None = None) -> list[Item]:
    """Parse a message body: one item for each of its records. A malformed record does not affect the others.

    Raises MalformedEventError, which says what is wrong, if the body as a whole is not an event.
    """
    event = _load(body, "the body")
    for _ in range(MAX_WRAPPINGS):
        if not _is_sns(event):
            break
        event = _load(_text(event, "Message", "the SNS notification"), "the SNS message")
    if "Records" in event:
        return list(_records(event["Records"]))
    if event.get("Event") == "s3:TestEvent":
        return [Skipped("test event")]
    if event.get("source") == "aws.s3":
        return [_from_eventbridge(event)]
    if "key" in event:
        return [_from_job(event, default_bucket)]
    raise MalformedEventError(
        f"the body is a JSON object with {_names(event)}; it should be an S3 event, an SNS notification, an EventBridge "
        'event or {"bucket": …, "key": …}'
    )


def _load(text: str, what: str) -> JsonObject:
    try:
        value = orjson.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedEventError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise MalformedEventError(f"{what} is JSON, but it is {_kind(value)}; it should be an object")
    return value


def _is_sns(event: JsonObject) -> bool:
    return event.get("Type") == "Notification" and "Message" in event


def _records(records: object) -> Iterator[Item]:
    if not isinstance(records, list) or not records:
        raise MalformedEventError(f"Records is {_kind(records)}; it should be a list with at least one record")
    for number, record in enumerate(records):
        try:
            yield _from_record(record, f"Records[{number}]")
        except MalformedEventError as error:
            yield error


def _from_record(record: object, where: str) -> ObjectRef | Skipped:
    if not isinstance(record, dict):
        raise MalformedEventError(f"{where} is {_kind(record)}; it should be an object")
    major = str(record.get("eventVersion", "2")).split(".")[0]
    if major != "2":
        raise MalformedEventError(f"{where}.eventVersion is {record['eventVersion']!r}; only 2.x is supported")
    name = _text(record, "eventName", where).removeprefix("s3:")
    kind = EventKind.RESTORED if name == _RESTORED else _KINDS.get(name.split(":")[0])
    if kind is None:
        return Skipped("event name")
    s3 = _part(record, "s3", where)
    bucket = _part(s3, "bucket", f"{where}.s3")
    detail = _part(s3, "object", f"{where}.s3")
    return _ref(
        bucket=_text(bucket, "name", f"{where}.s3.bucket"),
        key=_decoded(_text(detail, "key", f"{where}.s3.object"), f"{where}.s3.object.key"),
        kind=kind,
        detail=detail,
        version_id=detail.get("versionId"),
        etag=detail.get("eTag"),
        event_time=record.get("eventTime"),
    )


def _from_eventbridge(event: JsonObject) -> ObjectRef | Skipped:
    kind = _EVENTBRIDGE_KINDS.get(_text(event, "detail-type", "the EventBridge event"))
    if kind is None:
        return Skipped("event name")
    detail = _part(event, "detail", "the EventBridge event")
    found = _part(detail, "object", "detail")
    return _ref(
        bucket=_text(_part(detail, "bucket", "detail"), "name", "detail.bucket"),
        key=_text(found, "key", "detail.object"),  # not URL-encoded, unlike the key in an S3 notification
        kind=kind,
        detail=found,
        version_id=found.get("version-id"),
        etag=found.get("etag"),
        event_time=event.get("time"),
    )


def _from_job(event: JsonObject, default_bucket: str | None) -> ObjectRef | Skipped:
    if "bucket" not in event and default_bucket is None:
        raise MalformedEventError("the body names a key but no bucket, and S3_BUCKET is not set")
    bucket = _text(event, "bucket", "the body") if "bucket" in event else default_bucket or ""
    return _ref(bucket=bucket, key=_text(event, "key", "the body"), kind=EventKind.CREATED, detail={})


def _ref(
    *,
    bucket: str,
    key: str,
    kind: EventKind,
    detail: JsonObject,
    version_id: object = None,
    etag: object = None,
    event_time: object = None,
) -> ObjectRef | Skipped:
    for what, text in (("bucket", bucket), ("key", key)):
        if not text:
            raise MalformedEventError(f"the {what} is empty")
        if not _is_utf8(text):
            raise MalformedEventError(f"the {what} {text!r} contains a lone surrogate; names in S3 are valid UTF-8")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise MalformedEventError(f"the key has {len(key.encode())} bytes; S3's limit is {MAX_KEY_BYTES}")
    if key.endswith("/"):
        return Skipped("folder")
    size = detail.get("size")
    return ObjectRef(
        bucket,
        key,
        kind,
        version_id=_or_none(version_id),
        etag=_or_none(etag),
        size=size if isinstance(size, int) else None,
        sequencer=_or_none(detail.get("sequencer")),
        event_time=_or_none(event_time),
    )


def _decoded(key: str, where: str) -> str:
    """Decode the key of an S3 notification, which is form-encoded UTF-8, so `+` means a space."""
    if key.isascii() and "%" not in key and "+" not in key:
        return key
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedEventError(f"{where} is {key!r}, which cannot be decoded as UTF-8: {error.reason}") from None


def _text(holder: JsonObject, name: str, where: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise MalformedEventError(f"{where} has {_kind(value)} as its {name}; it should be a string")
    return value


def _part(holder: JsonObject, name: str, where: str) -> JsonObject:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise MalformedEventError(f"{where} has {_kind(value)} as its {name}; it should be an object")
    return value


def _or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


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
