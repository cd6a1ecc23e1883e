"""The servers do what the other tests take for granted."""

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from botocore.exceptions import ClientError

from testing.aws import (
    create_queues,
    drain,
    queue_depth,
    s3_client,
    send_batch,
    send_event,
    sqs_client,
)
from testing.process import ServerFailedError, http_get
from testing.servers import ElasticMQServer, OpenSearchServer, SeaweedFSServer
from testing.waiting import wait_until
from tests.support.moto_server import notifying_bucket

AWKWARD_KEYS = ["日本語/報告書 2026.txt", "a+b.txt", "100%.txt", "%E3%81%82.txt", "sp ace/🗻.txt"]


def ask(url: str, method: str = "GET", body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def error_code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return refused.value.response["Error"]["Code"]


# -- OpenSearch --------------------------------------------------------------------------------------------------


def index_a_japanese_text(url: str, index: str, analyzer: str) -> None:
    content = {"type": "text", "analyzer": analyzer}
    ask(f"{url}/{index}", "PUT", {"mappings": {"properties": {"content": content}}})
    ask(f"{url}/{index}/_doc/1?refresh=true", "PUT", {"content": "先週、京都へ出張した。"})


def hits(url: str, index: str, words: str) -> int:
    found = ask(f"{url}/{index}/_search", "POST", {"query": {"match": {"content": words}}})
    return int(found["hits"]["total"]["value"])


def test_kuromoji_finds_a_japanese_word_in_a_sentence(opensearch: OpenSearchServer, index_name: str) -> None:
    index_a_japanese_text(opensearch.url, index_name, "kuromoji")
    assert hits(opensearch.url, index_name, "京都") == 1
    assert hits(opensearch.url, index_name, "大阪") == 0


def test_opensearch_2_has_cjk_but_not_kuromoji(opensearch_2: OpenSearchServer, index_name: str) -> None:
    assert ask(opensearch_2.url)["version"]["number"].startswith("2.19.")
    index_a_japanese_text(opensearch_2.url, index_name, "cjk")
    assert hits(opensearch_2.url, index_name, "京都") == 1
    with pytest.raises(urllib.error.HTTPError) as refused:
        index_a_japanese_text(opensearch_2.url, f"{index_name}-ja", "kuromoji")
    with refused.value:
        assert refused.value.code == 400


def test_documents_survive_a_kill(opensearch: OpenSearchServer, index_name: str) -> None:
    index_a_japanese_text(opensearch.url, index_name, "kuromoji")
    opensearch.kill()
    opensearch.start()
    wait_until(lambda: hits(opensearch.url, index_name, "京都") == 1, 10, "the document to be found again")
    assert hits(opensearch.url, index_name, "大阪") == 0, "and nothing else"


# -- ElasticMQ ---------------------------------------------------------------------------------------------------


def test_a_receive_of_50_is_refused(sqs: Any, queues: Any) -> None:
    with pytest.raises(ClientError, match="MaxNumberOfMessages"):
        sqs.receive_message(QueueUrl=queues.source, MaxNumberOfMessages=50)


def test_a_message_moves_to_the_dlq_by_the_redrive_policy(sqs: Any, index_name: str) -> None:
    queues = create_queues(sqs, index_name, visibility_s=0, max_receive_count=2)
    send_event(sqs, queues.source, "b", "k")
    for _ in range(3):
        sqs.receive_message(QueueUrl=queues.source)
    assert queue_depth(sqs, queues.source) == (0, 0, 0)
    assert queue_depth(sqs, queues.dlq) == (1, 0, 0)


def test_queues_and_messages_survive_a_kill_where_they_are_durable(tmp_path: Path) -> None:
    with ElasticMQServer(tmp_path, durable=True) as server, closing(sqs_client(server.url)) as sqs:
        queues = create_queues(sqs, "durable")
        send_batch(sqs, queues.source, "b", [f"k{n}" for n in range(25)])
        server.kill()
        server.start()
        assert len(drain(sqs, queues.source)) == 25


def test_an_event_names_its_key_as_s3_does(sqs: Any, queues: Any) -> None:
    for key in AWKWARD_KEYS:
        send_event(sqs, queues.source, "b", key)
    sent = [json.loads(message["Body"])["Records"][0]["s3"]["object"] for message in drain(sqs, queues.source)]
    assert {unquote_plus(described["key"], errors="strict") for described in sent} == set(AWKWARD_KEYS)
    assert all(described["key"].isascii() for described in sent)


# -- SeaweedFS ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_a_key_comes_back_as_it_was_put(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()


def test_if_none_match_is_refused_the_second_time(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="once", Body=b"2", IfNoneMatch="*")
    assert error_code(refused) == "PreconditionFailed"


def test_a_missing_bucket_is_not_made_by_a_put(s3: Any) -> None:
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="no-such-bucket", Key="k", Body=b"")
    assert error_code(refused) == "NoSuchBucket"


def test_an_identity_reads_one_prefix_and_not_another(seaweedfs: SeaweedFSServer, s3: Any, bucket: str) -> None:
    for key in ("open/a", "closed/a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    limited = seaweedfs.grant(f"Read:{bucket}/open/*")
    with closing(s3_client(seaweedfs.url, limited)) as s3_limited:
        wait_until(lambda: can_read(s3_limited, bucket, "open/a"), 5, "the grant to hold")
        with pytest.raises(ClientError) as refused:
            s3_limited.get_object(Bucket=bucket, Key="closed/a")
    assert error_code(refused) == "AccessDenied"


def can_read(s3: Any, bucket: str, key: str) -> bool:
    try:
        return bool(s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x")
    except ClientError:
        return False


def test_objects_survive_a_kill(seaweedfs: SeaweedFSServer, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    seaweedfs.kill()
    seaweedfs.start()
    assert can_read(s3, bucket, "k")


# -- moto --------------------------------------------------------------------------------------------------------


def test_moto_notifies_the_queue_of_a_put_and_a_removal() -> None:
    with (
        notifying_bucket() as there,
        closing(s3_client(there.endpoint)) as s3,
        closing(sqs_client(there.endpoint)) as sqs,
    ):
        s3.put_object(Bucket=there.bucket, Key=AWKWARD_KEYS[0], Body=b"x")
        s3.delete_object(Bucket=there.bucket, Key=AWKWARD_KEYS[0])
        bodies = [json.loads(message["Body"]) for message in drain(sqs, there.queue_url)]
    records = [record for body in bodies for record in body.get("Records", [])]
    assert [body["Event"] for body in bodies if "Event" in body] == ["s3:TestEvent"]
    assert [record["eventName"] for record in records] == ["ObjectCreated:Put", "ObjectRemoved:Delete"]
    assert {unquote_plus(record["s3"]["object"]["key"]) for record in records} == {AWKWARD_KEYS[0]}


# -- the process itself ------------------------------------------------------------------------------------------


def test_a_paused_server_keeps_its_port_and_answers_again_after_resume(elasticmq: ElasticMQServer) -> None:
    elasticmq.pause()
    assert http_get(elasticmq.port, "/?Action=ListQueues", timeout_s=0.3) == (0, b"")
    elasticmq.resume()
    assert http_get(elasticmq.port, "/?Action=ListQueues")[0] == 200


def test_a_server_restarted_by_a_helper_thread_outlives_it(elasticmq: ElasticMQServer) -> None:
    thread = threading.Thread(target=elasticmq.restart)
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert elasticmq.is_running


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    server = ElasticMQServer(tmp_path)
    server._config = lambda: "this is no configuration {"  # type: ignore[method-assign]
    with pytest.raises(ServerFailedError, match=r"(?s)ended with exit code 1.*ConfigException"):
        server.start()


def test_a_server_dies_with_a_killed_test_run(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from testing.servers import ElasticMQServer\n"
        "print(ElasticMQServer(Path(sys.argv[1])).start().pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or is_zombie(pid), 5, "the server to be gone")


def is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
