"""The fault proxy in front of the real servers: what it forwards unchanged, what it logs, and the faults it injects."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, EndpointConnectionError
from obstore.store import S3Store
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NoConnectionError

from testing.aws import create_queues, s3_client, sqs_client
from testing.fault_proxy import Broken, Call, FaultProxy
from testing.servers import ADMIN, REGION, ElasticMQServer, OpenSearchServer, SeaweedFSServer
from testing.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef


@pytest.fixture
def fault_proxy(
    seaweedfs: SeaweedFSServer, elasticmq: ElasticMQServer, opensearch: OpenSearchServer
) -> Iterator[FaultProxy]:
    proxy = FaultProxy({"s3": seaweedfs.url, "sqs": elasticmq.url, "index": opensearch.url}).start()
    yield proxy
    proxy.stop()


@pytest.fixture
def s3(fault_proxy: FaultProxy) -> "Iterator[S3Client]":
    client = s3_client(fault_proxy.urls["s3"])
    client.create_bucket(Bucket="proxied") if "proxied" not in _buckets(client) else None
    yield client
    client.close()


@pytest.fixture
def sqs(fault_proxy: FaultProxy) -> "Iterator[SQSClient]":
    client = sqs_client(fault_proxy.urls["sqs"])
    yield client
    client.close()


@pytest.fixture
def queue(sqs, fault_proxy: FaultProxy, elasticmq: ElasticMQServer) -> str:
    name = f"proxied-{time.monotonic_ns()}"
    url = create_queues(sqs, name).source.replace(elasticmq.url, fault_proxy.urls["sqs"])
    fault_proxy.clear()
    return url


@pytest.fixture
def index(fault_proxy: FaultProxy) -> Iterator[OpenSearch]:
    client = OpenSearch(fault_proxy.urls["index"], max_retries=0)
    yield client
    client.close()


def _buckets(client) -> list[str]:
    return [found["Name"] for found in client.list_buckets()["Buckets"]]


def _bulk(index: OpenSearch, *ids: str) -> dict[str, Any]:
    lines = [line for one in ids for line in ({"index": {"_id": one}}, {"text": one})]
    found: dict[str, Any] = index.bulk(body=lines, index="proxied")
    return found


# -- forwarding --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["plain.txt", "経理/報告書 (最終)+100%.txt", "a//b"])
@pytest.mark.parametrize("size", [0, 1, 300_000, 9_000_000])
def test_objects_pass_unchanged(s3, fault_proxy, key, size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    s3.put_object(Bucket="proxied", Key=key, Body=body)
    assert s3.get_object(Bucket="proxied", Key=key)["Body"].read() == body
    wait_until(lambda: fault_proxy.traffic_log.read[key] == 1, 5, "its entry, which is made once the answer has passed")
    assert fault_proxy.traffic_log.calls["s3", "PutObject"] == 1


def test_calls_of_obstore_pass_unchanged(s3, fault_proxy):
    store = S3Store(
        "proxied", endpoint=fault_proxy.urls["s3"], region=REGION, access_key_id=ADMIN.access_key,
        secret_access_key=ADMIN.secret_key, client_options={"allow_http": True}, virtual_hosted_style_request=False,
    )  # fmt: skip
    store.put("議事録.txt", "会議".encode())
    assert bytes(store.get("議事録.txt").bytes()).decode() == "会議"
    wait_until(lambda: fault_proxy.traffic_log.read == {"議事録.txt": 1}, 5, "its entry")


def test_a_head_and_the_error_for_a_missing_key_pass(s3, fault_proxy):
    s3.put_object(Bucket="proxied", Key="there", Body=b"text")
    assert s3.head_object(Bucket="proxied", Key="there")["ContentLength"] == 4
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="proxied", Key="not there")
    assert fault_proxy.traffic_log.statuses["s3", "GetObject", 404] == 1
    assert not fault_proxy.traffic_log.read


# -- the traffic log ---------------------------------------------------------------------------------------------


def test_every_message_is_in_the_traffic_log(sqs, queue, fault_proxy):
    sent = [
        {"Id": str(n), "MessageBody": f"message {n}", "MessageAttributes": {}} for n in range(10)
    ]  # fmt: skip
    ids = [one["MessageId"] for one in sqs.send_message_batch(QueueUrl=queue, Entries=sent)["Successful"]]
    assert fault_proxy.traffic_log.sent == ids
    messages: list[MessageTypeDef] = []
    while len(messages) < 10:
        messages += sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]
    assert fault_proxy.traffic_log.received == dict.fromkeys(ids, 1)
    entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
    sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    assert fault_proxy.traffic_log.deleted == {m["ReceiptHandle"]: 1 for m in messages}
    assert fault_proxy.traffic_log.requests("sqs") == sum(fault_proxy.traffic_log.calls.values())


def test_a_bulk_is_in_the_traffic_log_document_by_document(index, fault_proxy):
    before = time.time()
    _bulk(index, "proxied/a", "proxied/東京")
    assert fault_proxy.traffic_log.indexed_at.keys() == {"proxied/a", "proxied/東京"}
    assert all(before <= at <= time.time() for at in fault_proxy.traffic_log.indexed_at.values())
    assert fault_proxy.traffic_log.calls["index", "_bulk"] == 1


# -- latency -----------------------------------------------------------------------------------------------------


def test_latency_is_added_by_service(s3, sqs, queue, fault_proxy):
    fault_proxy.latency_s = {"s3": 0.2}
    began = time.monotonic()
    s3.list_buckets()
    assert 0.2 <= time.monotonic() - began < 0.5
    began = time.monotonic()
    sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    assert time.monotonic() - began < 0.2


def test_latency_delays_no_other_call_and_takes_no_cpu_time(s3, fault_proxy):
    s3.put_object(Bucket="proxied", Key="k", Body=b"text")
    fault_proxy.latency_s = {"s3": 0.3}
    began, spent = time.monotonic(), time.process_time()
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: s3.get_object(Bucket="proxied", Key="k")["Body"].read(), range(20)))
    assert time.monotonic() - began < 1.0
    assert time.process_time() - spent < 0.6


# -- faults ------------------------------------------------------------------------------------------------------


def test_a_refused_call_never_reaches_the_server(s3, fault_proxy):
    fault_proxy.rules.append(lambda call: Broken("refuse") if call.action == "PutObject" else None)
    with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
        s3.put_object(Bucket="proxied", Key="refused", Body=b"text")
    fault_proxy.rules.clear()
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="proxied", Key="refused")
    assert fault_proxy.traffic_log.statuses["s3", "PutObject", 0] == 1


def test_a_lost_answer_leaves_its_effect(s3, fault_proxy):
    fault_proxy.rules.append(lambda call: Broken("lose") if call.action == "PutObject" else None)
    with pytest.raises(BotoCoreError):
        s3.put_object(Bucket="proxied", Key="lost", Body=b"text")
    fault_proxy.rules.clear()
    assert s3.get_object(Bucket="proxied", Key="lost")["Body"].read() == b"text"


def test_the_proxy_can_answer_for_the_server(s3, fault_proxy):
    slow_down = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
    fault_proxy.rules.append(lambda _: Broken("answer", status=503, body=slow_down))
    with pytest.raises(ClientError, match="SlowDown"):
        s3.get_object(Bucket="proxied", Key="k")


def test_a_rule_sees_the_number_of_its_call(sqs, queue, fault_proxy):
    def second(call: Call) -> Broken | None:
        return Broken("answer", status=500, body=b"{}") if call.number == 2 else None

    fault_proxy.rules.append(second)
    for broken in (False, True, False):
        if broken:
            with pytest.raises(ClientError):
                sqs.receive_message(QueueUrl=queue)
        else:
            sqs.receive_message(QueueUrl=queue)


def test_an_answer_can_be_rewritten(index, fault_proxy):
    def fail_first(answer: bytes) -> bytes:
        found = json.loads(answer)
        found["items"][0]["index"] |= {"status": 503, "error": {"type": "broken", "reason": "by the test"}}
        return json.dumps(found | {"errors": True}).encode()

    fault_proxy.rules.append(lambda call: Broken("rewrite", rewrite=fail_first) if call.action == "_bulk" else None)
    answer = _bulk(index, "first", "second")
    assert [item["index"]["status"] for item in answer["items"]] == [503, 201]
    assert fault_proxy.traffic_log.indexed_at.keys() == {"second"}


def test_an_answer_can_trickle(s3, fault_proxy):
    s3.put_object(Bucket="proxied", Key="slow", Body=b"0123456789")
    fault_proxy.rules.append(lambda _: Broken("trickle"))
    began = time.monotonic()
    assert s3.get_object(Bucket="proxied", Key="slow")["Body"].read() == b"0123456789"
    assert time.monotonic() - began > 0.15


def test_a_call_can_hang(index, fault_proxy):
    fault_proxy.rules.append(lambda _: Broken("hang", hang_s=0.5))
    began = time.monotonic()
    with pytest.raises(NoConnectionError):
        index.cluster.health()
    assert time.monotonic() - began >= 0.5


def test_open_connections_can_be_cut(sqs, queue, fault_proxy):
    import threading

    threading.Timer(0.5, fault_proxy.cut).start()
    with pytest.raises(BotoCoreError):
        sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)
    sqs.receive_message(QueueUrl=queue)
