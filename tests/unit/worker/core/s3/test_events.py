"""Every form of S3's events, and bodies that are none."""

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.base.errors import MalformedEventError
from worker.core.base.reasons import Reason
from worker.core.s3.events import ObjectRef, Skipped, parse


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
        "files", "経理/予算 案+1.xlsx", "e", may_be_gone=False
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
    "detail_type", ["Object Created", "Object Deleted", "Object Restore Completed", "Object Of A Kind To Come"]
)
def test_eventbridge_is_taken_and_its_keys_are_not_decoded(detail_type):
    body = {
        "version": "0",
        "source": "aws.s3",
        "detail-type": detail_type,
        "time": "2026-01-01T00:00:00Z",
        "detail": {"bucket": {"name": "files"}, "object": {"key": "100%+a b.txt", "version-id": "v", "etag": "e"}},
    }
    may_be_gone = detail_type != "Object Created"
    assert only(json.dumps(body)) == ObjectRef("files", "100%+a b.txt", "e", may_be_gone)


@pytest.mark.parametrize(
    "detail_type",
    [
        "Object Restore Initiated", "Object Restore Expired", "Object Tags Added", "Object Tags Deleted", "Object ACL Updated",
        "Object Storage Class Changed", "Object Access Tier Changed",
    ],
)  # fmt: skip
def test_what_eventbridge_tells_of_other_things_is_skipped(detail_type):
    body = {
        "source": "aws.s3",
        "detail-type": detail_type,
        "detail": {"bucket": {"name": "files"}, "object": {"key": "a"}},
    }
    assert only(json.dumps(body)) == Skipped("event name")


def cloudtrail(name, **detail):
    asked = {"bucketName": "our-files", "key": "経理/NDA+1.pdf"}
    known = {"eventName": name, "requestParameters": asked, "readOnly": False}
    return json.dumps({"source": "aws.s3", "detail-type": "AWS API Call via CloudTrail", "detail": {**known, **detail}})


@pytest.mark.parametrize(
    "name", ["PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject", "PostObject", "SomethingNew"]
)
def test_a_call_that_cloudtrail_tells_of_is_a_reference_to_its_object(name):
    assert only(cloudtrail(name)) == ObjectRef("our-files", "経理/NDA+1.pdf")


def test_a_call_of_several_objects_is_a_reference_to_each_that_is_named():
    resources = [
        {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::our-files/a/1.txt"},
        {"type": "AWS::S3::Object", "ARN": "arn:aws-cn:s3:::our-files/a/2.txt"},
        {"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::our-files/"},
        {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::our-files"},
    ]
    body = cloudtrail("DeleteObjects", requestParameters={"bucketName": "our-files", "delete": ""}, resources=resources)
    assert parse(body) == [ObjectRef("our-files", "a/1.txt"), ObjectRef("our-files", "a/2.txt")]


def test_a_call_whose_objects_are_not_named_says_what_to_use_instead():
    with pytest.raises(MalformedEventError, match=r"DeleteObjects names no object .* S3's own notifications"):
        parse(cloudtrail("DeleteObjects", requestParameters={"bucketName": "our-files"}))


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("GetObject", {"readOnly": True}), ("PutObject", {"errorCode": "AccessDenied"}), ("PutObjectTagging", {}),
        ("PutObjectAcl", {}), ("CreateMultipartUpload", {}), ("UploadPart", {}), ("RestoreObject", {}),
    ],
)  # fmt: skip
def test_a_call_that_changes_no_content_is_skipped(name, detail):
    assert only(cloudtrail(name, **detail)) == Skipped("event name")


def test_a_plain_job_names_bucket_and_key():
    assert only('{"bucket": "bkt", "key": "報告+1.txt"}') == ObjectRef("bkt", "報告+1.txt")


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
    "event",
    [
        "ObjectTagging:Put", "ObjectAcl:Put", "ObjectRestore:Post", "ObjectRestore:Delete", "IntelligentTiering",
        "LifecycleTransition", "Replication:OperationMissedThreshold", "ObjectLifecycle:Transition:Current",
        "s3:ObjectAccessed:Get", "TestEvent",
    ],
)  # fmt: skip
def test_events_that_leave_the_object_as_it_was_are_skipped(event):
    assert only(notification(record(event=event))) == Skipped("event name")


def test_an_empty_list_of_records_is_skipped():
    assert only('{"Records": []}') == Skipped("no records")


def test_a_key_that_ends_in_a_slash_is_observed_for_it_may_have_content():
    assert only(notification(record("a/folder/"))).key == "a/folder/"


@pytest.mark.parametrize(
    "event",
    [
        "ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete", "ObjectRestore:Completed",
        "s3:ObjectCreated:Put", "ObjectSynced:Create", "ObjectSynced:DeletionMarkerCreated",
        "ObjectLifecycle:Expiration:Current", "ReducedRedundancyLostObject", "Something:New", "ObjectTaggingOfAKind", 7, None,
    ],
)  # fmt: skip
def test_every_other_event_of_an_object_is_a_reason_to_observe_it(event):
    may_be_gone = event != "s3:ObjectCreated:Put"
    assert only(notification(record(event=event))) == ObjectRef("files", "a.txt", "e", may_be_gone)


@pytest.mark.parametrize(
    "bucket",
    [
        "our files", "our-files/legal", "<bucket>", "s3://our-files", "arn:aws:s3:::our-files", "../x", "b", "a\nb", "a\x00b",
        "our-files ", "-our-files", "文書", "our:files", "our?files", "our#files", "our%20files", "a" * 256, "..",
    ],
)  # fmt: skip
def test_what_cannot_be_a_bucket_is_malformed_in_every_form(bucket):
    job = {"bucket": bucket, "key": "NDA.txt"}
    bridge = {"detail-type": "Object Created", "detail": {"bucket": {"name": bucket}, "object": {"key": "a"}}}
    for body in (job, bridge):
        with pytest.raises(MalformedEventError, match="bucket"):
            parse(json.dumps(body))
    [item] = parse(notification(record(bucket=bucket)))
    assert isinstance(item, MalformedEventError)


@pytest.mark.parametrize("bucket", ["our-files", "a.b.c", "123", "My_Old.Bucket", "team-ap-x1y2-s3alias", "b" * 63])
def test_what_can_be_a_bucket_is_taken(bucket):
    assert only(json.dumps({"bucket": bucket, "key": "a"})) == ObjectRef(bucket, "a")


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
        ('{"Records": {}}', "an object"),
        ('{"bucket": 7, "key": "k"}', "a number as its bucket"),
        ('{"bucket": "bkt", "key": null}', "nothing as its key"),
        ('{"bucket": "bkt", "key": ""}', "the key is empty"),
        ('{"bucket": "", "key": "k"}', "the bucket is empty"),
        ('{"bucket": "bkt", "key": "' + "x" * 1025 + '"}', "1025 bytes"),
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


REASONS = {
    "noise": Reason.NOT_JSON,
    "[1]": Reason.NOT_AN_OBJECT,
    '{"Type": "Notification", "Message": "nope"}': Reason.SNS_NOT_JSON,
    '{"foo": 1}': Reason.UNKNOWN_EVENT,
    '{"Records": {}}': Reason.INCOMPLETE_EVENT,
    '{"Records": [{"eventName": "ObjectCreated:Put"}]}': Reason.INCOMPLETE_EVENT,
    '{"Records": [{"eventVersion": "3.0"}]}': Reason.EVENT_VERSION,
    '{"key": "k"}': Reason.NO_BUCKET,
    '{"bucket": "bkt", "key": ""}': Reason.EMPTY_NAME,
    '{"bucket": "https://files", "key": "k"}': Reason.BAD_BUCKET_NAME,
    notification(record("%83%65", encode=False)): Reason.BAD_KEY_ENCODING,
    '{"bucket": "bkt", "key": "' + "x" * 1025 + '"}': Reason.KEY_TOO_LONG,
}


@pytest.mark.parametrize(("body", "reason"), REASONS.items(), ids=lambda value: str(value)[:30])
def test_a_malformed_event_has_the_code_of_its_cause(body, reason):
    try:
        [item] = parse(body)
    except MalformedEventError as error:
        item = error
    assert getattr(item, "reason", None) == reason


@pytest.mark.parametrize(
    ("damaged", "sentence"),
    [
        ({"eventVersion": "2.1"}, "nothing as its s3"),
        ({"eventVersion": "2.1", "eventName": "ObjectCreated:Put"}, "nothing as its s3"),
        ({"eventName": "ObjectCreated:Put", "s3": {"bucket": {}, "object": {}}}, "nothing as its name"),
        ({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "bkt"}, "object": {}}}, "nothing as its key"),
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
