"""The floor: a bare loop of threads that use the same libraries and do nothing else. Any failure loses messages.

receive 10 → obstore get → bulk of at most 200 → delete 10. What a worker costs above this is the price of its promises.
"""

import json
import os
import queue
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import boto3
import obstore
import orjson
from botocore.config import Config
from obstore.store import S3Store
from opensearchpy import OpenSearch

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

Waiting = queue.SimpleQueue[tuple[bytes, "Future[None]"]]
"""Lines of a bulk request, and what is to be done once they are written."""

RECEIVERS = 8
BULK_DOCUMENTS = 200
BULK_THREADS = 2
BULK_WAIT_S = 0.03


def main() -> None:
    """Process messages until killed; the settings are the same environment variables as the worker's."""
    env = os.environ
    sqs = boto3.client("sqs", region_name=env["AWS_REGION"], config=Config(max_pool_connections=2 * RECEIVERS))
    store = S3Store(
        env["S3_BUCKET"],
        endpoint=env["AWS_ENDPOINT_URL_S3"],
        region=env["AWS_REGION"],
        access_key_id=env["AWS_ACCESS_KEY_ID"],
        secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )
    index = OpenSearch(env["INDEX_URL"], pool_maxsize=8)
    waiting: Waiting = queue.SimpleQueue()
    gathering = threading.Lock()
    for _ in range(BULK_THREADS):
        args = (index, env["OPENSEARCH_INDEX"], waiting, gathering)
        threading.Thread(target=_send_bulks, args=args, daemon=True).start()
    gets = ThreadPoolExecutor(16)
    print(json.dumps({"event": "worker.started"}), file=sys.stderr, flush=True)
    receivers = [
        threading.Thread(target=_receive, args=(sqs, env["SQS_QUEUE_URL"], store, gets, waiting), daemon=True)
        for _ in range(RECEIVERS)
    ]
    for each in receivers:
        each.start()
    for each in receivers:
        each.join()


def _receive(sqs: "SQSClient", url: str, store: S3Store, gets: ThreadPoolExecutor, waiting: Waiting) -> None:
    while True:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        written = [
            future for done in gets.map(lambda m: _index(store, m["Body"], waiting), messages) for future in done
        ]
        for future in written:
            future.result()
        if messages:
            sqs.delete_message_batch(
                QueueUrl=url,
                Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)],
            )


def _index(store: S3Store, body: str, waiting: Waiting) -> list["Future[None]"]:
    written = []
    for record in orjson.loads(body)["Records"]:
        key = unquote_plus(record["s3"]["object"]["key"])
        found = obstore.get(store, key)
        text = found.bytes().to_bytes().decode()
        etag = (found.meta["e_tag"] or "").strip('"')
        source = {"bucket": record["s3"]["bucket"]["name"], "file_key": key, "etag": etag, "content": text}
        line = orjson.dumps({"index": {"_id": key}}) + b"\n" + orjson.dumps(source) + b"\n"
        future: Future[None] = Future()
        waiting.put((line, future))
        written.append(future)
    return written


def _send_bulks(index: OpenSearch, name: str, waiting: Waiting, gathering: threading.Lock) -> None:
    while True:
        with gathering:
            batch = [waiting.get()]
            until = time.monotonic() + BULK_WAIT_S
            while len(batch) < BULK_DOCUMENTS:
                try:
                    batch.append(waiting.get(timeout=max(0.0, until - time.monotonic())))
                except queue.Empty:
                    break
        index.bulk(body=b"".join(line for line, _ in batch), index=name)
        for _, future in batch:
            future.set_result(None)


if __name__ == "__main__":
    main()
