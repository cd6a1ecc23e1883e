"""Every form of S3's events, and bodies that are none."""

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.base.errors import MalformedEventError
from worker.core.s3.events import EventKind, ObjectRef, Skipped, parse


def record(key="a.txt", *, event="ObjectCreated:Put", version="2.1", bucket="files", encode=True, **extra):
    name = quote_plus(key) if encode else key
    return {
        "eventVersion": version,
        "eventName": event,
        "eventTime": "2026-01-01T00:00:00.000Z",
        "s3": {
            "bucket": {"name": bucket},
            "object": {"key": name, "size": 3, "eTag": "e", "sequencer": "00A", **extra},
        },
    }


def notification(*records):
    return json.dumps({"Records": list(records)})


def only(body, **options):
    items = parse(body, **options)
    assert len(items) == 1
    return items[0]


def test_a_notification_of_one_record_is_one_reference():
    assert only(notification(record("経理/予算 案+1.xlsx"))) == ObjectRef(
        "files", "経理/予算 案+1.xlsx", EventKind.CREATED, None, "e", 3, "00A", "2026-01-01T00:00:00.000Z"
    )


def test_every_record_of_a_notification_is_taken():
    items = parse(notification(record("a"), record("b"), record("c")))
    assert [item.key for item in items if isinstance(item, ObjectRef)] == ["a", "b", "c"]


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.3", "2.6"])
def test_all_minor_versions_are_taken(version):
    assert only(notification(record(version=version))).key == "a.txt"


def test_another_major_version_is_malformed_and_says_so():
    assert "3.0" in str(only(notification(record(version="3.0"))))


def test_sns_wraps_the_same():
    wrapped = json.dumps({"Type": "Notification", "TopicArn": "arn:x", "Message": notification(record("a b"))})
    assert only(wrapped).key == "a b"


def test_sns_raw_delivery_is_the_notification_itself():
    assert only(notification(record("raw"))).key == "raw"


@pytest.mark.parametrize(
    ("detail_type", "kind"),
    [
        ("Object Created", EventKind.CREATED),
        ("Object Deleted", EventKind.REMOVED),
        ("Object Restore Completed", EventKind.RESTORED),
    ],
)
def test_eventbridge_is_taken_and_its_keys_are_not_decoded(detail_type, kind):
    body = {
        "version": "0",
        "source": "aws.s3",
        "detail-type": detail_type,
        "time": "2026-01-01T00:00:00Z",
        "detail": {"bucket": {"name": "files"}, "object": {"key": "100%+a b.txt", "version-id": "v", "etag": "e"}},
    }
    item = only(json.dumps(body))
    assert (item.key, item.kind, item.version_id, item.size) == ("100%+a b.txt", kind, "v", None)


def test_a_plain_job_names_bucket_and_key():
    assert only('{"bucket": "b", "key": "報告+1.txt"}') == ObjectRef("b", "報告+1.txt")


def test_a_plain_job_of_a_key_alone_takes_the_default_bucket():
    assert only('{"key": "k"}', default_bucket="home") == ObjectRef("home", "k")


def test_a_plain_job_without_any_bucket_says_what_is_missing():
    with pytest.raises(MalformedEventError, match="S3_BUCKET is not set"):
        parse('{"key": "k"}')


def test_the_test_event_is_skipped():
    body = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "t",
        "Bucket": "b",
        "RequestId": "r",
        "HostId": "h",
    }
    assert only(json.dumps(body)) == Skipped("test event")


@pytest.mark.parametrize(
    "event", ["ObjectTagging:Put", "ReducedRedundancyLostObject", "Something:New", "ObjectRestore:Post"]
)
def test_unknown_event_names_are_skipped(event):
    assert only(notification(record(event=event))) == Skipped("event name")


def test_folder_keys_are_skipped():
    assert only(notification(record("a/folder/"))) == Skipped("folder")


@pytest.mark.parametrize(
    "event", ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete"]
)
def test_removals_are_observed(event):
    assert only(notification(record(event=event))).kind is EventKind.REMOVED


def test_a_completed_restore_is_observed():
    assert only(notification(record(event="ObjectRestore:Completed"))).kind is EventKind.RESTORED


def test_the_prefix_of_an_event_name_is_tolerated():
    assert only(notification(record(event="s3:ObjectCreated:Put"))).kind is EventKind.CREATED


def test_a_missing_size_is_not_zero():
    bare = record()
    del bare["s3"]["object"]["size"]
    assert only(notification(bare)).size is None


def test_one_bad_record_leaves_the_others():
    items = parse(notification(record("a"), {"eventVersion": "2.1"}, record("c")))
    assert [type(item).__name__ for item in items] == ["ObjectRef", "MalformedEventError", "ObjectRef"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "not JSON"),
        ("not json", "not JSON"),
        ("[]", "it is an empty list; it should be an object"),
        ("null", "it is nothing; it should be an object"),
        ("42", "a number"),
        ("{}", "no fields"),
        ('{"foo": 1}', "the fields foo"),
        ('{"Records": []}', "an empty list"),
        ('{"Records": {}}', "an object"),
        ('{"bucket": 7, "key": "k"}', "a number as its bucket"),
        ('{"bucket": "b", "key": null}', "nothing as its key"),
        ('{"bucket": "b", "key": ""}', "the key is empty"),
        ('{"bucket": "", "key": "k"}', "the bucket is empty"),
        ('{"bucket": "b", "key": "' + "x" * 1025 + '"}', "1025 bytes"),
        ('{"Type": "Notification", "Message": "nope"}', "the SNS message is not JSON"),
        ('{"Type": "Notification", "Message": 5}', "a number as its Message"),
        ('{"source": "aws.s3", "detail-type": "Object Created"}', "nothing as its detail"),
        ("[" * 100_000, "not JSON"),
        ("x" * 1_048_576, "not JSON"),
    ],
)
def test_what_is_no_event_is_malformed_and_says_why(body, sentence):
    with pytest.raises(MalformedEventError, match=sentence):
        parse(body)


@pytest.mark.parametrize(
    ("damaged", "sentence"),
    [
        ({"eventVersion": "2.1"}, "nothing as its eventName"),
        ({"eventVersion": "2.1", "eventName": "ObjectCreated:Put"}, "nothing as its s3"),
        ({"eventName": "ObjectCreated:Put", "s3": {"bucket": {}, "object": {}}}, "nothing as its name"),
        ({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {}}}, "nothing as its key"),
        ("text", "a string"),
    ],
)
def test_a_damaged_record_says_which_part(damaged, sentence):
    assert sentence in str(only(notification(damaged)))


def test_a_key_that_is_not_utf8_is_malformed():
    assert "cannot be decoded" in str(only(notification(record("%83%65", encode=False))))


def parsed_or_sentence(body):
    try:
        return parse(body, default_bucket="bucket")
    except MalformedEventError as error:
        return str(error)


@given(st.text())
def test_any_text_is_parsed_or_malformed(body):
    assert parsed_or_sentence(body)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "s3", "bucket", "object", "key", "name", "eventName", "Message", "Type", "detail", "source"]
            ),
            inner,
        )
    ),
)


@given(_json)
def test_any_json_is_parsed_or_malformed(value):
    assert parsed_or_sentence(json.dumps(value))


@given(st.text(min_size=1, max_size=300).filter(lambda key: not key.endswith("/") and key.isprintable()))
def test_any_key_survives_its_encoding(key):
    assert only(notification(record(key))).key == key
