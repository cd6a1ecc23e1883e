"""Merging the worker's notification into a bucket's existing configuration."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from worker.core.base.errors import ConfigError, StoreError
from worker.notifications import EVENTS, KeyFilter, difference, merged, read, write

OURS, THEIRS = "arn:aws:sqs:eu-central-1:123456789012:files", "arn:aws:sqs:eu-central-1:123456789012:theirs"
ANY = KeyFilter()


def entry(arn, *events, prefix="", suffix="", kind="QueueArn", **more):
    rules = [{"Name": name, "Value": value} for name, value in (("Prefix", prefix), ("Suffix", suffix)) if value]
    return {kind: arn, "Events": list(events), **({"Filter": {"Key": {"FilterRules": rules}}} if rules else {}), **more}


def ours(configuration):
    [found] = [one for one in configuration["QueueConfigurations"] if one["QueueArn"] == OURS]
    return found


def test_topics_functions_eventbridge_and_other_queues_are_kept():
    present = {
        "TopicConfigurations": [entry("arn:aws:sns:t", "s3:ObjectCreated:*", prefix="in/", kind="TopicArn")],
        "LambdaFunctionConfigurations": [entry("arn:aws:lambda:f", "s3:ObjectTagging:*", kind="LambdaFunctionArn")],
        "QueueConfigurations": [entry(THEIRS, "s3:ObjectCreated:*", suffix=".tif")],
        "EventBridgeConfiguration": {},
    }
    to_be = merged(present, OURS, KeyFilter("legal/", ".pdf"))
    assert ours(to_be)["Events"] == list(EVENTS)
    to_be["QueueConfigurations"].remove(ours(to_be))
    assert to_be == present


def test_special_characters_of_a_filter_are_written_encoded_and_shown_as_they_are():
    wanted = KeyFilter("契約書/2026 Q1/", "+見積.pdf")
    to_be = merged({}, OURS, wanted)
    rules = ours(to_be)["Filter"]["Key"]["FilterRules"]
    assert [rule["Value"] for rule in rules] == ["%E5%A5%91%E7%B4%84%E6%9B%B8/2026%20Q1/", "%2B%E8%A6%8B%E7%A9%8D.pdf"]
    shown = difference({}, to_be)
    assert "契約書/2026 Q1/" in shown
    assert "%" not in shown
    raw = {"QueueConfigurations": [entry(OURS, *EVENTS, prefix=wanted.prefix, suffix=wanted.suffix, Id="x")]}
    for there in (to_be, raw):
        assert difference(there, merged(there, OURS, wanted)) == "", "is ours, however it was written"


def test_what_is_configured_already_is_no_difference_in_any_spelling():
    there = {"QueueConfigurations": [entry(OURS, *reversed(EVENTS), prefix="legal/", Id="x")]}
    to_be = merged(there, OURS, KeyFilter("legal/"))
    assert difference(there, to_be) == ""


def test_fewer_events_become_all_and_others_and_the_id_stay():
    there = {"QueueConfigurations": [entry(OURS, "s3:ObjectCreated:*", "s3:ObjectTagging:Put", Id="by-hand")]}
    found = ours(merged(there, OURS, ANY))
    assert (found["Id"], set(found["Events"])) == ("by-hand", {*EVENTS, "s3:ObjectTagging:Put"})
    assert there["QueueConfigurations"][0]["Events"] == ["s3:ObjectCreated:*", "s3:ObjectTagging:Put"]


def test_each_filter_has_an_id_of_its_own():
    first = merged({}, OURS, KeyFilter("a/"))
    both = merged(first, OURS, KeyFilter("b/"))["QueueConfigurations"]
    assert len({one["Id"] for one in both}) == 2


@pytest.mark.parametrize(
    ("theirs", "wanted"),
    [
        (entry(THEIRS, "s3:ObjectCreated:Put", Id="scans"), ANY),
        (entry(THEIRS, "s3:ObjectRemoved:*", prefix="legal/", Id="scans"), KeyFilter("legal/2026/")),
        (entry(THEIRS, "s3:ObjectCreated:*", suffix=".pdf", Id="scans"), KeyFilter("legal/")),
        (entry(OURS, "s3:ObjectCreated:*", prefix="legal/", Id="scans"), ANY),
        (entry("arn:aws:sns:t", "s3:ObjectRestore:*", kind="TopicArn", Id="scans"), KeyFilter("", ".pdf")),
    ],
)
def test_another_notification_for_the_same_keys_and_events_is_named(theirs, wanted):
    name = "TopicConfigurations" if "TopicArn" in theirs else "QueueConfigurations"
    with pytest.raises(ConfigError, match=r"the notification scans to .* already receives"):
        merged({name: [theirs]}, OURS, wanted)


@pytest.mark.parametrize(
    ("theirs", "wanted"),
    [
        (entry(THEIRS, "s3:ObjectCreated:*", suffix=".tif"), KeyFilter("", ".pdf")),
        (entry(THEIRS, "s3:ObjectCreated:*", prefix="scans/"), KeyFilter("legal/")),
        (entry(THEIRS, "s3:ObjectTagging:*", "s3:ObjectAcl:Put"), ANY),
    ],
)
def test_what_cannot_meet_is_no_conflict(theirs, wanted):
    assert len(merged({"QueueConfigurations": [theirs]}, OURS, wanted)["QueueConfigurations"]) == 2


def test_a_fifo_queue_is_refused():
    with pytest.raises(ConfigError, match="FIFO"):
        merged({}, OURS + ".fifo", ANY)


class _FakeS3:
    def __init__(self, present, error=None, *, deaf=False):
        self.present, self.error, self.deaf = present, error, deaf

    def get_bucket_notification_configuration(self, **_call):
        return {**self.present, "ResponseMetadata": {}}

    def put_bucket_notification_configuration(self, **call):
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "PutBucketNotificationConfiguration")
        if not self.deaf:
            self.present = call["NotificationConfiguration"]


def fake_s3(*args: Any, **options: Any) -> Any:
    """An S3 client with the calls that `read` and `write` make."""
    return _FakeS3(*args, **options)


def test_what_has_changed_since_it_was_shown_is_not_overwritten():
    s3 = fake_s3({"QueueConfigurations": [entry(THEIRS, "s3:ObjectTagging:*")]})
    with pytest.raises(ConfigError, match="changed in the meantime"):
        write(s3, "files", {}, merged({}, OURS, ANY))
    assert s3.present == {"QueueConfigurations": [entry(THEIRS, "s3:ObjectTagging:*")]}


def test_what_was_put_is_read_back():
    with pytest.raises(ConfigError, match="someone else"):
        write(fake_s3({}, deaf=True), "files", {}, merged({}, OURS, ANY))
    s3 = fake_s3({})
    write(s3, "files", {}, merged({}, OURS, ANY))
    assert read(s3, "files") == merged({}, OURS, ANY)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("InvalidArgument", ConfigError, "its policy must allow"),
        ("AccessDenied", ConfigError, "s3:PutBucketNotification on arn:aws:s3:::files"),
        ("NoSuchBucket", ConfigError, "the bucket does not exist"),
        ("SlowDown", StoreError, "SlowDown"),
    ],
)
def test_a_refusal_says_what_to_do(code, kind, said):
    with pytest.raises(kind, match=said):
        write(fake_s3({}, code), "files", {}, merged({}, OURS, ANY))
