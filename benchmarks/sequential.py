"""The baseline: the loop that most teams write first. It processes one message after another, one step at a time.

With the argument `dlq`, it does the same for recovery: for each message in the DLQ, it checks whether the object is
indexed and whether it exists, indexes it, and deletes the message.
"""

import json
import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import boto3
from opensearchpy import OpenSearch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def main() -> None:
    """Process messages until killed; the settings are the same environment variables as the worker's."""
    env = os.environ
    sqs, s3 = boto3.client("sqs", region_name=env["AWS_REGION"]), boto3.client("s3", region_name=env["AWS_REGION"])
    index = OpenSearch(env["INDEX_URL"])
    print(json.dumps({"event": "worker.started"}), file=sys.stderr, flush=True)
    serve = _recover if sys.argv[1:] == ["dlq"] else _index
    queue = env["DLQ_QUEUE_URL"] if serve is _recover else env["SQS_QUEUE_URL"]
    while True:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            try:
                records = json.loads(message["Body"])["Records"]
            except ValueError:
                records = []
            for record in records:
                serve(s3, index, record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def _index(s3: "S3Client", index: OpenSearch, bucket: str, key: str) -> None:
    found = s3.get_object(Bucket=bucket, Key=key)
    document = {
        "bucket": bucket,
        "file_key": key,
        "etag": found["ETag"].strip('"'),
        "content": found["Body"].read().decode(),
    }
    if index.ping():
        index.index(index=os.environ["OPENSEARCH_INDEX"], id=f"{bucket}/{key}", body=document)


def _recover(s3: "S3Client", index: OpenSearch, bucket: str, key: str) -> None:
    """Not even the content is read: the cheapest loop that can be called one."""
    name, document_id = os.environ["OPENSEARCH_INDEX"], f"{bucket}/{key}"
    if index.exists(index=name, id=document_id):
        return
    try:
        found = s3.head_object(Bucket=bucket, Key=key)
    except s3.exceptions.ClientError:
        return
    document = {
        "bucket": bucket,
        "file_key": key,
        "etag": found["ETag"].strip('"'),
        "file_size": found["ContentLength"],
    }
    index.index(index=name, id=document_id, body=document)


if __name__ == "__main__":
    main()
