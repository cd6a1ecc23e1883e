"""What keeps a worker from starting, and whether systemd should try again."""

import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from testing.aws import queue_depth, sqs_client
from testing.fakes import Fakes
from testing.memory import BUCKET, STATE
from tests.support.moto_server import moto_endpoint
from tests.support.tls import serving
from worker import machine_checks, queue_checks, s3_checks
from worker.checks import Step, results
from worker.core.base.errors import QueueError, StoreError
from worker.core.extract import isolation
from worker.core.s3.reindexing import REINDEX_KEY, Phase, Reindex, ReindexWatch, Source
from worker.core.sqs.queue import Refusal, SqsQueue
from worker.index_checks import index
from worker.notifications import sources_of
from worker.preflight import check_all


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def policy(**conditions):
    return json.dumps(
        {"Statement": [{"Effect": "Allow", "Condition": {test: arn}} for test, arn in conditions.items()]}
    )


@pytest.mark.parametrize(
    ("policy", "buckets"),
    [
        (policy(ArnEquals={"aws:SourceArn": "arn:aws:s3:::our-files"}), ["our-files"]),
        (policy(ArnLike={"AWS:SourceArn": ["arn:aws:s3:::b-files", "arn:aws-cn:s3:::a-files"]}), ["a-files", "b-files"]),
        (policy(ArnLike={"aws:SourceArn": ["arn:aws:s3:::*", "arn:aws:sns:eu-central-1:1:topic"]}), []),
        ('{"Statement": {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::one"}}}}', ["one"]),
        ("", []), ("nonsense", []), ("[]", []), ('{"Statement": [7]}', []), ('{"Statement": [{"Condition": []}]}', []),
    ],
)  # fmt: skip
def test_the_buckets_that_may_notify_a_queue_are_those_that_its_policy_names(policy, buckets):
    assert sources_of(policy) == buckets


def test_one_queue_under_two_addresses_is_a_wrong_setting(monkeypatch):
    fakes = Fakes()
    for queue in (fakes.source, fakes.dlq):
        monkeypatch.setattr(queue, "attributes", lambda: {"QueueArn": "arn:aws:sqs:eu-central-1:1:files"})
    [found] = results([Step("redrive policy", lambda: queue_checks.redrive(fakes.clients))])
    assert (found.level, found.fatal) == ("error", "config")
    assert "are one queue" in found.what


def test_a_bucket_in_which_nothing_can_be_read_is_an_error_and_no_reason_not_to_start():
    fakes = Fakes()
    fakes.s3.bodies["a.txt"] = b"text"
    fakes.s3.denied_buckets.add("denied-files")
    readable, denied = s3_checks.sources(fakes.clients, None, [BUCKET, "denied-files"])
    assert (readable.level, denied.level, denied.fatal) == ("ok", "error", "")
    assert "s3:GetObject on denied-files" in denied.hint
    [none] = s3_checks.sources(fakes.clients, None, [])
    assert "doctor BUCKET" in none.hint


def test_a_state_bucket_that_notifies_the_queue_is_an_error_and_a_reason_not_to_start(monkeypatch):
    fakes = Fakes()
    for bucket, level, fatal in ((BUCKET, "ok", ""), (STATE, "error", "config")):
        arn = policy(ArnEquals={"aws:SourceArn": f"arn:aws:s3:::{bucket}"})
        monkeypatch.setattr(fakes.source, "attributes", lambda arn=arn: {"Policy": arn})
        found = s3_checks.own_state(fakes.clients)
        assert (found.level, found.fatal) == (level, fatal), found.what


QUEUE = "arn:aws:sqs:eu-central-1:1:files"
TO_THE_QUEUE = {"QueueConfigurations": [{"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"]}]}
TO_A_TOPIC = {
    "TopicConfigurations": [{"TopicArn": "arn:aws:sns:eu-central-1:1:files", "Events": ["s3:ObjectCreated:*"]}]
}
OF_THE_STATE_BUCKET: list[tuple[Any, str | None, str, str, str]] = [
    ({}, None, "ok", "", "does not notify the queue"),
    (TO_THE_QUEUE, None, "error", "config", "notifies the queue"),
    (TO_A_TOPIC | TO_THE_QUEUE, None, "error", "config", "notifies the queue"),
    (TO_A_TOPIC, None, "warning", "", "is not known: it sends events to arn:aws:sns:eu-central-1:1:files"),
    ({"EventBridgeConfiguration": {}}, None, "warning", "", "is not known: it sends events to EventBridge"),
    ({}, "AccessDenied", "warning", "", "allow s3:GetBucketNotification on "),
    ({}, "SlowDown", "warning", "", "is not known: SlowDown"),
    ({}, "NotImplemented", "ok", "", "sends no notifications"),
]


@pytest.mark.parametrize(("notifies", "code", "level", "fatal", "says"), OF_THE_STATE_BUCKET)
def test_the_state_bucket_is_asked_whom_it_notifies(monkeypatch, notifies, code, level, fatal, says):
    """The queue's policy need not name it: a wildcard allows any bucket, and some stores ask no policy."""
    fakes = Fakes()
    monkeypatch.setattr(fakes.source, "attributes", lambda: {"QueueArn": QUEUE})
    fakes.state.notifies = notifies
    if code:
        fakes.faults.add("state.notifications", StoreError("by the test", code=code))
    found = s3_checks.own_state(fakes.clients)
    assert (found.level, found.fatal) == (level, fatal)
    assert says in f"{found.what} {found.hint}"


def test_a_bucket_that_is_gone_may_be_forgotten():
    fakes = Fakes()
    fakes.faults.add("s3.check_bucket", StoreError("by the test", code="NoSuchBucket"))
    [found] = s3_checks.sources(fakes.clients, None, ["gone-files"])
    assert (found.what, found.hint) == (
        "gone-files does not exist",
        "is the bucket's name correct? If it was deleted: s3-index-worker forget s3://gone-files",
    )


@pytest.mark.parametrize("code", ["NotImplemented", None])
def test_a_store_without_conditional_writes_is_no_reason_not_to_work(code):
    fakes = Fakes()
    if code:
        fakes.faults.add("state.claim", StoreError("by the test", code=code))
    found = list(s3_checks.state_calls(fakes.clients))
    assert [one.level for one in found] == ["warning" if code else "ok", "ok"]
    assert fakes.s3.records == {}


def test_what_does_not_isolate_a_parser_is_a_warning_and_no_reason_not_to_work(monkeypatch, tmp_path):
    settings = Fakes().settings(temp_dir=tmp_path)

    def raises(_folder):
        raise OSError("no room for a process")

    for probe, level, said in (
        (lambda _folder: [], "ok", "isolated"),
        (lambda _folder: [isolation.NO_LANDLOCK], "warning", "Landlock is missing"),
        (raises, "warning", "no room for a process"),
    ):
        monkeypatch.setattr(isolation, "probe", probe)
        found = machine_checks.parsers(settings)
        assert (found.level, found.fatal) == (level, "")
        assert said in found.what


TRANSIENT = ["SlowDown", "ExpiredToken", "AccessDenied", "403", "404", "429", "ResponseParserError"]


@pytest.mark.parametrize(
    ("code", "fatal"),
    [*((code, "dependency") for code in TRANSIENT), ("NoSuchBucket", "config"), ("PermanentRedirect", "config")],
)
@pytest.mark.parametrize(
    ("call", "check"),
    [
        ("s3.check_bucket", lambda fakes: s3_checks.bucket_listed(fakes.clients, "files", "S3_BUCKET")),
        ("state.put", lambda fakes: s3_checks.state_round(fakes.clients)),
    ],
    ids=["bucket", "state"],
)
def test_only_what_no_restart_can_correct_keeps_a_worker_down(call, check, code, fatal):
    """A permission just given takes seconds to be known everywhere, and after exit code 78 systemd would not try again."""
    fakes = Fakes()
    fakes.faults.add(call, StoreError("by the test", code=code))
    [found] = results([Step("bucket", lambda: check(fakes))])
    assert (found.level, found.fatal) == ("error", fatal)


# -- permissions of the queues -----------------------------------------------------------------------------------------


def receive_checks(fakes):
    return list(results([Step("queue: receive", lambda: queue_checks.receive(fakes.source))]))


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "KmsAccessDenied", "KMS.DisabledException"])
def test_doctor_sees_that_receiving_is_denied(code):
    fakes = Fakes()
    fakes.faults.add("source.receive", QueueError("by the test", code=code))
    found = {one.name: one for one in check_all(fakes.settings(), fakes.clients, thorough=True)}["queue: receive"]
    assert found.level == "error"
    assert code in found.what
    assert ("kms:Decrypt" if "k" in code.lower()[:1] else "grant this role sqs:ReceiveMessage on source") in found.hint


def test_doctor_receives_no_message_of_a_queue_without_a_key_of_its_own():
    fakes = Fakes()
    fakes.source.add("m", "{}")
    [found] = receive_checks(fakes)
    assert (found.level, found.what) == ("ok", "sqs:ReceiveMessage is allowed")
    assert fakes.source.hidden == set()


@pytest.mark.parametrize(
    ("waiting", "receives", "counts"),
    [("3", 10, [0, 1]), ("0", 10, [0]), ("3", 3, [0])],
)
def test_doctor_tries_a_queue_s_key_with_a_message_where_that_does_no_harm(monkeypatch, waiting, receives, counts):
    fakes = Fakes()
    asked = []
    attributes = {
        "KmsMasterKeyId": "alias/ours",
        "ApproximateNumberOfMessages": waiting,
        "RedrivePolicy": json.dumps({"maxReceiveCount": receives}),
    }
    monkeypatch.setattr(fakes.source, "attributes", lambda: attributes)

    def receive(*, wait_s, visibility_s, count):
        asked.append((count, visibility_s))
        return []

    monkeypatch.setattr(fakes.source, "receive", receive)
    found = receive_checks(fakes)
    assert asked == [(count, 0) for count in counts]
    assert [one.level for one in found] == ["ok", "ok"]
    assert ("released" if len(counts) == 2 else "was not tested") in found[1].what


def test_a_key_that_only_a_message_needs_is_named(monkeypatch):
    fakes = Fakes()
    attributes = {"KmsMasterKeyId": "alias/ours", "ApproximateNumberOfMessages": "3"}
    monkeypatch.setattr(fakes.source, "attributes", lambda: attributes)

    def receive(*, count, **_):
        if count:
            raise QueueError("The ciphertext refers to a key that is not accessible", code="KMS.AccessDeniedException")
        return []

    monkeypatch.setattr(fakes.source, "receive", receive)
    ok, denied = receive_checks(fakes)
    assert (ok.level, denied.level) == ("ok", "error")
    assert "kms:Decrypt" in denied.hint


@pytest.mark.parametrize(
    ("queue", "check"), [("source", "queue: delete"), ("source", "queue: hide"), ("dlq", "DLQ: send")]
)
def test_a_denial_in_the_entries_of_a_batch_is_seen(queue, check):
    fakes = Fakes()
    getattr(fakes, queue).refuses = {0: Refusal("KMS.AccessDeniedException", "by the test", senders_fault=True)}
    found = {one.name: one for one in check_all(fakes.settings(), fakes.clients, thorough=True)}[check]
    assert found.level == "error"
    assert "kms:" in found.hint


def test_a_reindex_under_way_is_shown():
    fakes = Fakes()
    found = Reindex("run", "ann@host", "files", "files-000001", "files-000002", Source.S3, False, True, Phase.FILLING)
    assert not any("reindex" in one.what for one in index(fakes.settings(), fakes.clients, thorough=False))
    fakes.state.put(REINDEX_KEY, found.as_json())
    fakes.clients = replace(fakes.clients, reindex=ReindexWatch(fakes.state, "files"))
    [said] = [one.what for one in index(fakes.settings(), fakes.clients, thorough=False) if "reindex" in one.what]
    assert said == (
        "a reindex by ann@host is under way, with files-000001 and files-000002: see `reindex_index --status`"
    )


def test_the_message_that_tries_a_permission_is_taken_by_nobody_not_even_moto():
    with moto_endpoint() as endpoint, closing(sqs_client(endpoint)) as sqs:
        url = sqs.create_queue(QueueName="files-dlq")["QueueUrl"]
        found = queue_checks.send(SqsQueue(sqs, url))
        assert (found.level, found.what) == ("ok", "sqs:SendMessage is allowed")
        assert queue_depth(sqs, url) == (0, 0, 0)


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("InvalidMessageContents", "ok"),
        ("InvalidParameterValue", "ok"),
        ("NonExistentQueue", "warning"),
        ("Whatever", "warning"),
    ],
)
def test_only_the_refusal_that_is_expected_counts_as_a_permission(code, level):
    fakes = Fakes()
    fakes.dlq.refuses = {0: Refusal(f"AWS.SimpleQueueService.{code}", "by the test", senders_fault=True)}
    assert queue_checks.send(fakes.dlq).level == level


@pytest.mark.parametrize(
    ("url", "own", "level"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/1/q", "eu-central-1", "error"),
        ("https://sqs.eu-central-1.amazonaws.com/1/q", "eu-central-1", "ok"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1", "ok"),
        ("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/1/q", "eu-central-1", "ok"),
        ("http://sqs.us-east-1.localhost.localstack.cloud:4566/0/q", "eu-central-1", "ok"),
        ("http://127.0.0.1:9324/0/q", "eu-central-1", "ok"),
        ("https://queue.amazonaws.com/1/q", "us-east-1", "ok"),
        ("https://sqs.eu-west-1.amazonaws.com/1/q", None, "ok"),
    ],
)
def test_the_region_of_a_queue_is_compared_where_its_host_is_aws_s_own(url, own, level):
    settings = Fakes().settings().model_copy(update={"sqs_queue_url": url})
    [found] = queue_checks.region(settings, own)
    assert (found.level, found.fatal) == (level, "config" if level == "error" else "")


def test_a_worker_that_answers_at_the_port_is_no_other_program():
    settings = Fakes().settings()
    with serving(respond=lambda _: (200, {}, b'{"source_queue": "source"}')) as (number, _):
        assert machine_checks.port(settings.model_copy(update={"metrics_port": number})).level == "ok"
    with serving(respond=lambda _: (200, {}, b'{"source_queue": "other"}')) as (number, _):
        assert (
            "worker of the queue other"
            in machine_checks.port(settings.model_copy(update={"metrics_port": number})).what
        )
