"""Tests of the oracle: if it missed what is lost, stuck or duplicated, the attacks would prove nothing."""

import json

from testing.aws import drain, sqs_client
from testing.fault_proxy import FaultProxy
from tests.chaos.stage import REFUSED
from tests.support.oracle import Oracle
from worker.core.index.document import Write
from worker.core.index.open import open_index
from worker.core.indexing.retry_store import RetryRecord


def index(on, key: str, etag: str) -> None:
    """What a worker would have done."""
    opened = open_index(on.site.settings())
    opened.ensure()
    opened.write([Write(on.site.bucket, key, 1_795_000_000_000, etag, json.dumps({"etag": etag}).encode())])
    opened.close()


def test_what_is_in_the_queue_is_stuck_and_what_was_only_deleted_is_lost(on):
    on.site.put("lost.txt")
    on.send("lost.txt")
    assert not (waiting := on.oracle.judgement()).holds
    assert waiting.stuck == ["the source queue holds (1, 0, 0)"]
    drain(on.site.sqs, on.site.queues.source)
    found = on.oracle.judgement()
    assert found.stuck == []
    assert len(found.lost) == 1
    assert found.lost[0].startswith("lost.txt of message ")


def test_an_older_document_and_one_of_an_object_that_is_gone_are_found(on):
    index(on, "older.txt", "an etag of yesterday")
    index(on, "gone.txt", "an etag")
    on.site.put("older.txt")
    for key in ("older.txt", "gone.txt"):
        on.oracle.expect(key, f"body of {key}", key)
    assert [sentence.split()[0] for sentence in on.oracle.judgement().lost] == ["older.txt", "gone.txt"]


def test_a_retry_record_is_not_lost_and_is_stuck_unless_the_index_rejected_it(on):
    for key, rejected in (("unavailable.txt", False), (f"{REFUSED}refused.txt", True)):
        record = RetryRecord(
            Write(on.site.bucket, key, 1_795_000_000_000, on.site.put(key), b"{}"), "why", rejected=rejected
        )
        on.site.s3.put_object(Bucket=on.site.state_bucket, Key=record.name, Body=record.as_json())
        on.oracle.expect(key, f"body of {key}", key)
    found = on.oracle.judgement()
    assert found.lost == []
    assert len(found.stuck) == 1
    assert "unavailable.txt" in found.stuck[0]


def test_dead_letters_are_accounted_for_and_copies_counted(on):
    on.send_dead_letter("noise", is_dead_letter=True)
    on.send_dead_letter("noise", is_dead_letter=True, stored=True)
    on.oracle.expect("nowhere", "another noise", is_dead_letter=True)
    found = on.oracle.judgement()
    assert [sentence.split()[:3] for sentence in found.lost] == [["dead", "letter", "nowhere"]]
    assert found.duplicates == 2  # one copy too many, of each of the two
    assert found.places["DLQ"] == 2


def test_the_last_calls_about_what_is_lost_are_reported(on):
    fault_proxy: FaultProxy = on.fault_proxy
    client = sqs_client(fault_proxy.urls["sqs"])
    queue = on.site.queues.source.replace(on.env["AWS_ENDPOINT_URL_SQS"], fault_proxy.urls["sqs"])
    on.site.put("eaten.txt")
    on.send("eaten.txt")
    for message in client.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]:
        entry = {"Id": "0", "ReceiptHandle": message["ReceiptHandle"]}
        client.delete_message_batch(QueueUrl=queue, Entries=[entry])  # type: ignore[list-item]
    client.close()
    oracle: Oracle = on.oracle
    [sentence] = oracle.judgement(fault_proxy.traffic_log).lost
    assert [line.split()[2] for line in sentence.splitlines()[1:]] == ["ReceiveMessage", "DeleteMessageBatch"]
