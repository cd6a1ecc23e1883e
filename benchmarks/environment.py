"""The environment of a benchmark: the three real servers, each a separate process, behind the fault proxy.

Objects are uploaded once and read by every run; each run has its own queues and its own index.
"""

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from obstore.store import S3Store

from testing.aws import create_queues, drain, send_batch, sqs_client
from testing.fault_proxy import FaultProxy, Service
from testing.servers import ADMIN, REGION, ElasticMQServer, OpenSearchServer, SeaweedFSServer
from testing.site import Site, make_site
from testing.waiting import wait_until
from worker.core.index.open import open_index

VISIBILITY_S = 600
FLUSH_AT = "64mb"
"""OpenSearch's default is 512 MB; with that, it does not answer for four seconds on a machine with one slow disk."""
HEALED_WITHIN_S = 90
"""Time for the worker to write documents that the index did not accept at first (OpenSearch may return 429)."""
HEAP_MB = 2_048
"""With 512, OpenSearch's memory breaker returns 429 after about 180,000 documents in a row. With the serial garbage
collector of the tests, a heap of this size causes pauses of seconds, which the worker takes for an outage."""
SENDERS = 8


@dataclass(frozen=True)
class Profile:
    """The latency of the servers in seconds; without latency, the proxy is not used."""

    name: str
    latency_s: Mapping[Service, float] = field(default_factory=dict)


LOCAL = Profile("local")
AWS = Profile("aws", {"sqs": 0.010, "s3": 0.025, "index": 0.030})


class WrongResultError(Exception):
    """Raised when a run did not have exactly the expected result, so that its figures are worthless."""


class BenchmarkEnvironment:
    """The servers, the proxy and the objects of a benchmark."""

    def __init__(self, seaweedfs: SeaweedFSServer, elasticmq: ElasticMQServer, opensearch: OpenSearchServer) -> None:
        self.sqs_url = elasticmq.url
        """The URL that bypasses the proxy."""
        self._base = make_site(seaweedfs, elasticmq, opensearch)
        self._store = S3Store(
            self._base.bucket, endpoint=seaweedfs.url, region=REGION, access_key_id=ADMIN.access_key,
            secret_access_key=ADMIN.secret_key, client_options={"allow_http": True}, virtual_hosted_style_request=False,
        )  # fmt: skip
        self.etags: dict[str, str] = {}
        """The etags of all objects in S3."""
        self.fault_proxy = FaultProxy({"s3": seaweedfs.url, "sqs": elasticmq.url, "index": opensearch.url}).start()

    def fill(self, objects: Iterator[tuple[str, bytes]]) -> list[str]:
        """Upload objects; return their keys."""

        def put(one: tuple[str, bytes]) -> tuple[str, str]:
            key, body = one
            return key, (self._store.put(key, body, use_multipart=False)["e_tag"] or "").strip('"')

        with ThreadPoolExecutor(SENDERS) as pool:
            added = dict(pool.map(put, objects))
        self.etags |= added
        return list(added)

    def empty(self) -> None:
        """Delete all objects."""
        keys = list(self.etags)
        for start in range(0, len(keys), 1000):
            self._store.delete(keys[start : start + 1000])
        self.etags = {}

    def fresh(self, profile: Profile) -> Site:
        """Create new queues and a new index, in the same way as the worker."""
        name = f"run-{secrets.token_hex(4)}"
        queues = create_queues(self._base.sqs, name, visibility_s=VISIBILITY_S)
        env = {**self._base.env, "SQS_QUEUE_URL": queues.source, "DLQ_QUEUE_URL": queues.dlq, "OPENSEARCH_INDEX": name}
        site = replace(self._base, queues=queues, index=name, env=env)
        index = open_index(site.settings())
        index.ensure()
        index.close()
        site.ask("PUT", f"/{name}/_settings", {"index.translog.flush_threshold_size": FLUSH_AT})
        if not profile.latency_s:
            return site
        self.fault_proxy.clear()
        self.fault_proxy.latency_s = dict(profile.latency_s)
        there = self.sqs_url
        wired = {
            "AWS_ENDPOINT_URL_S3": self.fault_proxy.urls["s3"],
            "AWS_ENDPOINT_URL_SQS": self.fault_proxy.urls["sqs"],
            "INDEX_URL": self.fault_proxy.urls["index"],
            "SQS_QUEUE_URL": queues.source.replace(there, self.fault_proxy.urls["sqs"]),
            "DLQ_QUEUE_URL": queues.dlq.replace(there, self.fault_proxy.urls["sqs"]),
        }
        return replace(site, env={**env, **wired})

    def send(self, site: Site, keys: list[str]) -> None:
        """Send one event for each key, bypassing the proxy."""
        share = -(-len(keys) // SENDERS)
        clients = [sqs_client(self.sqs_url) for _ in range(SENDERS)]
        with ThreadPoolExecutor(SENDERS) as pool:
            parts = [keys[start : start + share] for start in range(0, len(keys), share)]
            list(pool.map(lambda c, part: send_batch(c, site.queues.source, site.bucket, part), clients, parts))
        for client in clients:
            client.close()

    def verify(self, site: Site, keys: list[str], *, dead: int = 0) -> str:
        """Check the result of a run, and describe it in one sentence. Raises WrongResultError if it is wrong."""
        wait_until(lambda: not site.state_keys("retry-index/"), HEALED_WITHIN_S, "an empty retry-index/")
        wanted = {key: self.etags[key] for key in set(keys)}
        found = {key: document["etag"] for key, document in site.documents().items()}
        wrong = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
        if wrong:
            raise WrongResultError(f"{len(wrong)} documents differ from the objects in S3: {sorted(wrong)[:3]}")
        if site.depth() != (0, 0, 0):
            raise WrongResultError(f"the queue has {site.depth()} messages; it should be empty")
        if (dead_letters := len(drain(site.sqs, site.queues.dlq))) != dead:
            raise WrongResultError(f"the DLQ has {dead_letters} messages; it should have {dead}")
        return f"index = S3 ({len(wanted):,} etags), queue empty, DLQ {dead}, retry-index/ empty"

    def drop(self, site: Site) -> None:
        """Delete the index and the queues of a run."""
        site.ask("DELETE", f"/{site.index}-*")
        for url in (site.queues.source, site.queues.dlq):
            site.sqs.delete_queue(QueueUrl=url)

    def close(self) -> None:
        self.fault_proxy.stop()
        self._base.close()


@contextmanager
def benchmark_environment(folder: Path) -> Iterator[BenchmarkEnvironment]:
    """Start the servers; stop them at the end."""
    with ExitStack() as stack:
        servers = (
            SeaweedFSServer(folder / "seaweedfs"),
            ElasticMQServer(folder / "elasticmq", long_lived=True),
            OpenSearchServer(folder / "os", heap_mb=HEAP_MB, collector="G1", long_lived=True),
        )
        for server in servers:
            stack.callback(server.stop)
            server.start()
        environment = BenchmarkEnvironment(*servers)
        stack.callback(environment.close)
        yield environment
