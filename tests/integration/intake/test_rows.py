"""Each row of what the worker takes in, through the real daemon, ElasticMQ, SeaweedFS and OpenSearch."""

import gzip
import json
from collections.abc import Iterator

import pytest

from testing.aws import s3_event, s3_record
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess, running

BAD_ENCODING = json.dumps({
    "Records": [
        {
            "eventVersion": "2.1",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": {"key": "%83"}},
        }
    ]
})  # fmt: skip


@pytest.fixture(scope="module")
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


@pytest.fixture(scope="module")
def worker(site, tmp_path_factory) -> Iterator[WorkerProcess]:
    env = {**site.env, "EXCLUDE_KEYS": "*.tmp,secret/*", "MAX_OBJECT_BYTES": "100000", "LOG_LEVEL": "debug"}
    with running(env, tmp_path_factory.mktemp("worker")) as started:
        yield started


def settled(worker, message_id, timeout_s=15):
    """The line that says how this message was settled."""
    return worker.wait_for(
        lambda: worker.events("message.settled", message_id=message_id),
        timeout_s=timeout_s,
        what=f"settling {message_id}",
    )[0]


def indexed(site, key):
    return wait_until(lambda: site.documents().get(key), 10, f"a document of {key}")


def failure_of(site, message_id):
    found = wait_until(site.dead_letters, 10, "a dead letter")
    assert [each["failure"]["source_message_id"] for each in found] == [message_id]
    return found[0]


def test_a_notification_is_indexed(site, worker):
    etag = site.put("経理/予算 案+1%.txt", "東京都の予算")
    line = settled(worker, site.send("経理/予算 案+1%.txt"))
    assert (line["outcome"], line["note"]) == ("done", "indexed")
    found = indexed(site, "経理/予算 案+1%.txt")
    assert (found["etag"], found["file_name"], found["path"]) == (etag, "予算 案+1%.txt", ["経理"])


def test_every_record_of_a_notification_takes_effect_and_the_worst_counts(site, worker):
    site.put("many/one.txt")
    site.put("many/two.txt")
    records = [s3_record(site.bucket, "many/one.txt"), {"eventVersion": "2.1"}, s3_record(site.bucket, "many/two.txt")]
    message_id = site.send_body(s3_event(*records))
    assert settled(worker, message_id)["outcome"] == "failed"
    assert indexed(site, "many/one.txt")
    assert indexed(site, "many/two.txt")
    assert "s3" in failure_of(site, message_id)["failure"]["message"]


def test_the_same_wrapped_by_sns_is_indexed(site, worker):
    site.put("sns.txt")
    body = {"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": s3_event(s3_record(site.bucket, "sns.txt"))}
    assert settled(worker, site.send_body(json.dumps(body)))["note"] == "indexed"


def test_sns_raw_delivery_is_indexed(site, worker):
    site.put("raw.txt")
    attributes = {"x": {"DataType": "String", "StringValue": "sns attribute"}}
    message_id = site.send_body(s3_event(s3_record(site.bucket, "raw.txt")), MessageAttributes=attributes)
    assert settled(worker, message_id)["note"] == "indexed"


def test_an_eventbridge_event_is_indexed_and_its_key_taken_as_it_is(site, worker):
    site.put("bridge/100%+a b.txt")
    body = {
        "version": "0", "source": "aws.s3", "detail-type": "Object Created",
        "detail": {"bucket": {"name": site.bucket}, "object": {"key": "bridge/100%+a b.txt", "size": 1, "etag": "e"}},
    }  # fmt: skip
    assert settled(worker, site.send_body(json.dumps(body)))["note"] == "indexed"
    assert indexed(site, "bridge/100%+a b.txt")


def test_a_plain_job_is_indexed(site, worker):
    site.put("job.txt")
    assert settled(worker, site.send_body(json.dumps({"bucket": site.bucket, "key": "job.txt"})))["note"] == "indexed"


def test_a_plain_job_without_a_bucket_takes_the_default_bucket(site, worker):
    site.put("home.txt")
    assert settled(worker, site.send_body('{"key": "home.txt"}'))["note"] == "indexed"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, "test event"),
        ("ObjectTagging:Put", "event name"),
        ("draft.tmp", "inside EXCLUDE_KEYS"),
        ("secret/plan.txt", "inside EXCLUDE_KEYS"),
    ],
)
def test_what_asks_for_nothing_is_skipped_with_its_reason(site, worker, body, reason):
    if body == "ObjectTagging:Put":
        text = s3_event(s3_record(site.bucket, "any.txt", body))
    else:
        text = json.dumps(body) if isinstance(body, dict) else s3_event(s3_record(site.bucket, body))
    line = settled(worker, site.send_body(text))
    assert (line["outcome"], line["note"]) == ("done", f"skipped: {reason}")


@pytest.mark.parametrize("prefix", ["retry-index/", "dlq-archive/", "dead-letters/", "s3-index-worker/"])
def test_the_systems_own_prefixes_are_skipped_in_the_state_bucket_only(site, worker, prefix):
    key = f"{prefix}x.json"
    assert settled(worker, site.send(key, bucket=site.state_bucket))["note"] == "skipped: own prefix"
    site.put(key, "{}")
    assert settled(worker, site.send(key))["note"] == "indexed"


@pytest.mark.parametrize(
    "event", ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete"]
)
def test_a_removed_object_leaves_the_index(site, worker, event):
    key = f"gone/{event}.txt"
    site.put(key)
    settled(worker, site.send(key))
    assert indexed(site, key)
    site.s3.delete_object(Bucket=site.bucket, Key=key)
    assert settled(worker, site.send(key, event))["note"] == "removed"
    assert key not in site.documents()


def test_a_removal_of_what_is_there_again_indexes_it(site, worker):
    site.put("again.txt", "it is back")
    assert settled(worker, site.send("again.txt", "ObjectRemoved:Delete"))["note"] == "indexed"


def test_a_completed_restore_indexes(site, worker):
    site.put("restored.txt")
    assert settled(worker, site.send("restored.txt", "ObjectRestore:Completed"))["note"] == "indexed"


def test_an_object_gone_on_arrival_is_no_failure(site, worker):
    assert settled(worker, site.send("never-was.txt"))["note"] == "removed"


def test_no_such_bucket_goes_to_the_dlq_and_removes_nothing(site, worker):
    site.put("stays.txt")
    settled(worker, site.send("stays.txt"))
    message_id = site.send("stays.txt", bucket="there-is-no-such-bucket")
    assert settled(worker, message_id)["outcome"] == "failed"
    assert failure_of(site, message_id)["failure"]["kind"] == "SYSTEM_ERROR"
    assert indexed(site, "stays.txt")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("not json", "not JSON"),
        ("{}", "no fields"),
        ('{"key": 5}', "a number as its key"),
        (BAD_ENCODING, "cannot be decoded"),
        ("ノイズ" * 100_000, "not JSON"),
    ],
)  # fmt: skip
def test_anything_else_goes_to_the_dlq_with_a_sentence(site, worker, body, sentence):
    message_id = site.send_body(body)
    assert settled(worker, message_id)["outcome"] == "failed"
    found = failure_of(site, message_id)
    assert found["failure"]["kind"] == "USER_ERROR"
    assert sentence in found["failure"]["message"]
    assert found["body"] == body


def test_a_mebibyte_of_noise_is_spilled_because_no_failure_record_fits(site, worker):
    message_id = site.send_body("x" * 1_048_576)
    assert settled(worker, message_id)["outcome"] == "failed"
    [key] = wait_until(lambda: site.state_keys("dead-letters/"), 10, "a spilled message")
    assert site.state_record(key)["message_id"] == message_id


def test_attributes_go_to_the_dlq_untouched(site, worker):
    attributes = {
        "trace": {"DataType": "String", "StringValue": "t"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
    }
    message_id = site.send_body("noise", MessageAttributes=attributes)
    found = failure_of(site, message_id)["attributes"]
    assert found["trace"]["StringValue"] == "t"
    assert found["raw"]["BinaryValue"] == b"\0\xff"


def test_an_object_too_large_is_indexed_by_its_metadata(site, worker):
    site.put("large.txt", b"x" * 100_001, Metadata={"owner": "me"})
    assert settled(worker, site.send("large.txt"))["note"] == "indexed"
    found = indexed(site, "large.txt")
    assert (found["extraction"]["status"], found["metadata"]) == ("too_large", {"owner": "me"})


@pytest.mark.parametrize("key", ["encoded.html", "encoded//twice.html"], ids=["by obstore", "by boto3"])
def test_an_object_that_is_stored_compressed_is_found_by_its_words(site, worker, key):
    page = "<html><title>見積書</title><p>needle in the page</p></html>".encode()
    site.put(key, gzip.compress(page), ContentType="text/html", ContentEncoding="gzip")
    assert settled(worker, site.send(key))["note"] == "indexed"
    found = indexed(site, key)
    assert (found["mime_type"], found["title"], found["extraction"]["status"]) == ("text/html", "見積書", "ok")


@pytest.mark.parametrize(
    "key", ["a//b.txt", "x" * 200 + "/" + "漢" * 70 + "/" + "y" * 200 + "/🎉.txt", "tab\tand\nline.txt"]
)
def test_keys_that_obstore_would_change_are_indexed_as_they_are(site, worker, key):
    site.put(key)
    assert settled(worker, site.send(key))["note"] == "indexed"
    assert indexed(site, key)


def test_access_denied_for_one_key_only_is_an_object_fault(seaweedfs, elasticmq, opensearch, tmp_path):
    """The other keys of the bucket can be read: so it is not an outage, and the message goes to the DLQ."""
    site = make_site(seaweedfs, elasticmq, opensearch)
    reach = [f"{action}:{site.bucket}/open/*" for action in ("Read", "Write")]
    limited = seaweedfs.grant(
        *reach, f"List:{site.bucket}", *[f"{a}:{site.state_bucket}" for a in ("Read", "Write", "List")]
    )
    env = {**site.env, "AWS_ACCESS_KEY_ID": limited.access_key, "AWS_SECRET_ACCESS_KEY": limited.secret_key}
    with running(env, tmp_path) as worker:
        for key in ("open/a.txt", "closed/b.txt"):
            site.put(key)
        assert settled(worker, site.send("open/a.txt"))["note"] == "indexed"
        message_id = site.send("closed/b.txt")
        assert settled(worker, message_id)["outcome"] == "failed"
        failure = failure_of(site, message_id)["failure"]
        assert (failure["kind"], failure["error_type"]) == ("SYSTEM_ERROR", "StoreError")
        assert set(site.documents()) == {"open/a.txt"}
    site.close()
