"""The baseline: the loop as most teams write it first. One message after another, and each step waits for the one before."""

import json
import os
import sys
from urllib.parse import unquote_plus

import boto3
from opensearchpy import OpenSearch


def main() -> None:
    """Serve until killed; settings come from the worker's own environment names."""
    env = os.environ
    sqs, s3 = (boto3.client(name, region_name=env["AWS_REGION"]) for name in ("sqs", "s3"))
    index = OpenSearch(env["INDEX_URL"])
    queue = env["SQS_QUEUE_URL"]
    print(json.dumps({"event": "worker.started"}), file=sys.stderr, flush=True)
    while True:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            for record in json.loads(message["Body"])["Records"]:
                bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
                found = s3.get_object(Bucket=bucket, Key=key)
                document = {
                    "bucket": bucket,
                    "file_key": key,
                    "etag": found["ETag"].strip('"'),
                    "content": found["Body"].read().decode(),
                }
                if index.ping():
                    index.index(index=env["OPENSEARCH_INDEX"], id=f"{bucket}/{key}", body=document)
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    main()
