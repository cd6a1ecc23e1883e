"""One deployment on the real servers: buckets, queues and a separate index, with functions to inspect them."""

import contextlib
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from obstore.store import S3Store

from testing.aws import Queues, create_queues, drain, queue_depth, s3_client, send_batch, send_event, sqs_client
from testing.servers import REGION, ElasticMQServer, OpenSearchServer, SeaweedFSServer
from testing.waiting import wait_until
from worker.core.base.settings import Settings, load

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

PAGE = 10_000
LANES = 8


@dataclass(frozen=True)
class Site:
    """Buckets, queues and index of one test."""

    s3: "S3Client"
    sqs: "SQSClient"
    bucket: str
    state_bucket: str
    queues: Queues
    index_url: str
    index: str
    env: dict[str, str]

    def put(self, key: str, body: bytes | str = b"text", **options: Any) -> str:
        """Store an object; return its etag."""
        raw = body.encode() if isinstance(body, str) else body
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=raw, **options)["ETag"].strip('"')

    def put_all(self, bodies: Mapping[str, bytes | str], *, bucket: str | None = None) -> dict[str, str]:
        """Store many objects; their etags. By obstore, at a tenth of boto3's CPU: for keys that it carries unchanged."""
        store = self._store(bucket or self.bucket)

        def put(item: tuple[str, bytes | str]) -> tuple[str, str]:
            key, body = item
            raw = body.encode() if isinstance(body, str) else body
            done = store.put(key, raw, attributes={"Content-Type": "binary/octet-stream"}, use_multipart=False)
            return key, (done["e_tag"] or "").strip('"')

        with ThreadPoolExecutor(LANES) as pool:
            return dict(pool.map(put, bodies.items()))

    def last_modified(self, prefix: str) -> dict[str, str]:
        """When each object under a prefix was last modified, to the second, as documents say it."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        found = [one for page in pages for one in page.get("Contents", [])]
        return {one["Key"]: one["LastModified"].replace(microsecond=0).isoformat() for one in found}

    def _store(self, bucket: str) -> S3Store:
        return S3Store(
            bucket,
            endpoint=self.s3.meta.endpoint_url,
            region=REGION,
            access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
            client_options={"allow_http": True},
            virtual_hosted_style_request=False,
        )

    def send(self, key: str, event: str = "ObjectCreated:Put", *, bucket: str | None = None) -> str:
        return send_event(self.sqs, self.queues.source, bucket or self.bucket, key, event)

    def send_all(self, keys: list[str], event: str = "ObjectCreated:Put") -> None:
        send_batch(self.sqs, self.queues.source, self.bucket, keys, event)

    def send_body(self, body: str, **options: Any) -> str:
        return self.sqs.send_message(QueueUrl=self.queues.source, MessageBody=body, **options)["MessageId"]

    def documents(self) -> dict[str, dict[str, Any]]:
        """All documents by key, read directly from OpenSearch."""
        self.ask("POST", f"/{self.index}/_refresh")
        found: dict[str, dict[str, Any]] = {}
        query: dict[str, Any] = {"size": PAGE, "sort": ["file_key"], "_source": {"excludes": ["content"]}}
        while True:
            hits = self.ask("POST", f"/{self.index}/_search", query).get("hits", {}).get("hits", [])
            found.update((hit["_source"]["file_key"], hit["_source"]) for hit in hits)
            if len(hits) < PAGE:
                return found
            query["search_after"] = hits[-1]["sort"]

    def count(self) -> int:
        """How many documents there are; 0 where there is no index yet."""
        self.ask("POST", f"/{self.index}/_refresh")
        return int(self.ask("GET", f"/{self.index}/_count").get("count", 0))

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send one request to OpenSearch; the body of an error is returned as the answer too."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.index_url + quote(path, safe="/?=&_*,"),
            data=data,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                raw = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raw = error.read()
        found: dict[str, Any] = json.loads(raw or b"{}")
        return found

    def state_keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.state_bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def state_record(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.s3.get_object(Bucket=self.state_bucket, Key=key)["Body"].read())
        return found

    def has_state(self, prefix: str) -> bool:
        """Whether there is any record under a prefix; far cheaper to ask again and again than all their keys."""
        return bool(self.s3.list_objects_v2(Bucket=self.state_bucket, Prefix=prefix, MaxKeys=1).get("Contents"))

    def state_records(self, prefix: str) -> list[dict[str, Any]]:
        """Every record under a prefix, in the order of their names."""
        store = self._store(self.state_bucket)
        with ThreadPoolExecutor(LANES) as pool:
            return list(pool.map(lambda key: json.loads(store.get(key).bytes().to_bytes()), self.state_keys(prefix)))

    def empty_state(self) -> None:
        """Delete all records."""
        keys = self.state_keys("")
        for start in range(0, len(keys), 1000):
            part = [{"Key": key} for key in keys[start : start + 1000]]
            self.s3.delete_objects(Bucket=self.state_bucket, Delete={"Objects": part})  # type: ignore[typeddict-item]

    def depth(self) -> tuple[int, int, int]:
        return queue_depth(self.sqs, self.queues.source)

    def wait_empty(self, timeout_s: float = 30) -> None:
        """Wait until the source queue has no message, visible or in flight."""
        wait_until(lambda: self.depth() == (0, 0, 0), timeout_s, "an empty source queue")

    def dead_letters(self) -> list[dict[str, Any]]:
        """Receive and delete the messages in the DLQ; return body and failure record of each."""
        return [
            {"body": m["Body"], "attributes": m.get("MessageAttributes", {}),
             "failure": json.loads(m["MessageAttributes"]["failure"]["StringValue"])}
            for m in drain(self.sqs, self.queues.dlq)
        ]  # fmt: skip

    def settings(self) -> Settings:
        """The settings that the worker has with this site's environment."""
        return load(**{name.lower(): value for name, value in self.env.items() if not name.startswith("AWS_")})

    def close(self) -> None:
        """Remove the index, which a restart of the server would have to recover, and close the clients."""
        with contextlib.suppress(Exception):  # a test may have stopped the server for good
            self.ask("DELETE", f"/{self.index}*")
        self.s3.close()
        self.sqs.close()


def make_site(
    seaweedfs: SeaweedFSServer, elasticmq: ElasticMQServer, opensearch: OpenSearchServer, *, versioned: bool = False,
    attempts: int = 1,
) -> Site:  # fmt: skip
    """Create a site, in which worker and test have admin permissions. `attempts`: maximum attempts of the test's own calls."""
    name = f"site-{secrets.token_hex(4)}"
    s3, sqs = s3_client(seaweedfs.url, attempts=attempts), sqs_client(elasticmq.url, attempts=attempts)
    for each in (name, f"{name}-state"):
        s3.create_bucket(Bucket=each)
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    queues = create_queues(sqs, name, visibility_s=30)
    env = {
        "AWS_ACCESS_KEY_ID": seaweedfs.admin.access_key,
        "AWS_SECRET_ACCESS_KEY": seaweedfs.admin.secret_key,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": seaweedfs.url,
        "AWS_ENDPOINT_URL_SQS": elasticmq.url,
        "SQS_QUEUE_URL": queues.source,
        "DLQ_QUEUE_URL": queues.dlq,
        "S3_BUCKET": name,
        "STATE_BUCKET": f"{name}-state",
        "INDEX_URL": opensearch.url,
        "OPENSEARCH_INDEX": name,
        "LOG_FORMAT": "json",
    }
    return Site(s3, sqs, name, f"{name}-state", queues, opensearch.url, name, env)
