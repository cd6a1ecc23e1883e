"""Where a case runs: its own site behind a fault proxy, a load of sixty messages that makes every call, and an oracle."""

import itertools
import json
import random
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from testing.aws import create_queues, s3_event, s3_record
from testing.corpus_bodies import cut, pdf
from testing.fault_proxy import Broken, Call, FaultProxy, Rule
from testing.site import Site, make_site
from testing.worker import WorkerProcess
from tests.support.faults import Strike, bulk_refusing, name_of
from tests.support.oracle import Judgement, Oracle

VISIBILITY_S = 6
OWN_ATTEMPTS = 4
"""Attempts for the campaign's own calls: on two busy cores, a server occasionally answers one with 500."""
HURRIED_ENV = {
    "SQS_VISIBILITY_TIMEOUT": str(VISIBILITY_S), "MESSAGE_DEADLINE_S": "40", "LONG_POLL_S": "1", "INDEX_TIMEOUT_S": "2",
    "INDEX_PROBE_S": "0.7", "PAUSE_POLL_S": "2", "SPOOL_BYTES": str(64 * 1024), "EXTRACT_PROCESSES": "1",
    "BULK_DOCUMENTS": "10", "SHUTDOWN_TIMEOUT_S": "12", "WORKER_CONCURRENCY": "8", "LOG_LEVEL": "debug",
}  # fmt: skip
"""Small values, so that sixty messages make many calls of each kind."""
ORDINARY, REPEATED, SPOOLED = 38, 3, 100_000
SLOWLY = 250
"""Size in bytes of an object that arrives slowly, over four seconds, in which its message's visibility must be extended."""
NOISE = 3
REFUSED, BUSY, SLOW = "refused/", "busy/", "slow/"
"""Keys whose documents the index rejects permanently; whose documents it rejects once; whose objects arrive slowly."""
FULL_OF_ATTRIBUTES = {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(10)}
"""No room is left for a failure record, so the message goes to `dead-letters/` instead of the DLQ."""


class BackgroundFaults:
    """The rare answers that every case includes, so that the calls they cause are made."""

    def __init__(self) -> None:
        self._busy: set[str] = set()

    def __call__(self, call: Call) -> Broken | None:
        if call.action == "GetObject" and any(key.startswith(SLOW) for key in call.keys):
            return Broken("trickle")
        if call.action != "_bulk":
            return None
        busy = {name for name in call.keys if f"/{BUSY}" in name} - self._busy
        self._busy |= busy
        if busy:
            return bulk_refusing(call, lambda _, name: name in busy)
        return bulk_refusing(call, lambda _, name: f"/{REFUSED}" in name, status=400, kind="mapper_parsing_exception")


@dataclass
class Stage:
    """One site, its fault proxy, and the worker that runs on it."""

    site: Site
    fault_proxy: FaultProxy
    oracle: Oracle
    env: dict[str, str]
    folder: Path
    worker: WorkerProcess | None = None
    command: subprocess.Popen[bytes] | None = None
    """The operator's command that is running."""
    earlier: tuple[str, ...] = ()
    """Keys of the latest load, which the next one changes and removes."""

    def rule(self, *rules: Rule) -> None:
        """Apply these rules and the background faults from now on, with a new traffic log."""
        self.fault_proxy.clear()
        self.fault_proxy.rules = [*rules, BackgroundFaults()]

    # -- the worker ----------------------------------------------------------------------------------------------

    def start(self) -> WorkerProcess:
        """Start a worker; it may fail to start."""
        self.worker = WorkerProcess(self.env, self.folder, module=("tests.chaos.hurried", "worker", "run"))
        self.worker.spawn()
        return self.worker

    def keep_alive(self) -> int | None:
        """Restart the worker if it has exited, as systemd does; its exit code."""
        code = None if self.worker is None or self.worker.process is None else self.worker.process.poll()
        if self.worker is None or code is not None:
            self.start()
        return code

    def stop(self) -> None:
        """Send SIGTERM; the worker must exit within its time limit."""
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def kill(self) -> None:
        """Send SIGKILL to the running command, or else to the worker."""
        running = self.command or (self.worker and self.worker.process)
        if running:
            running.kill()

    # -- the load ------------------------------------------------------------------------------------------------

    def load(self, name: str) -> int:
        """Change objects and send the events; the number of messages."""
        rng = random.Random(name)
        keys = [f"{name}/帳票 {number:02}.txt" for number in range(ORDINARY)]
        odd = [
            f"{name}//odd.txt",
            f"{SLOW}{name}.txt",
            f"{BUSY}{name}.txt",
            f"{REFUSED}{name}.txt",
            f"{name}/large.txt",
        ]
        for key in [*keys, *odd]:
            size = SPOOLED if key.endswith("large.txt") else SLOWLY if key.startswith(SLOW) else 1
            self.site.put(key, f"text of {key} {rng.random()}" + "." * size)
        broken = f"{name}/broken.pdf"
        self.site.put(broken, cut(pdf)(rng, name))
        self._change_earlier(rng)
        for key in odd + keys[REPEATED:]:
            self.send(key)
        self.send(broken, is_dead_letter=True)
        self.send_body(s3_event(*(s3_record(self.site.bucket, key) for key in keys[:REPEATED])), *keys[:REPEATED])
        for key in rng.sample(keys, REPEATED):  # S3 delivers at least once
            self.send(key)
        for number in range(NOISE):
            options = {"MessageAttributes": FULL_OF_ATTRIBUTES} if not number else {}
            self.send_body(f"noise {name} {number}", is_dead_letter=True, **options)
        self.send_body(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": name}))
        self.earlier = (*keys, *odd)
        return len(self.oracle.events)

    def _change_earlier(self, rng: random.Random) -> None:
        """Overwrite some objects of the latest load, remove others."""
        some = rng.sample(self.earlier, min(8, len(self.earlier)))
        for key in some[:4]:
            self.site.put(key, f"changed {rng.random()}")
            self.send(key)
        for key in some[4:]:
            self.site.s3.delete_object(Bucket=self.site.bucket, Key=key)
            self.send(key, "ObjectRemoved:Delete")

    def send(self, key: str, event: str = "ObjectCreated:Put", *, is_dead_letter: bool = False) -> str:
        """Send one event about an object."""
        return self.send_body(s3_event(s3_record(self.site.bucket, key, event)), key, is_dead_letter=is_dead_letter)

    def send_body(self, body: str, *keys: str, is_dead_letter: bool = False, **options: Any) -> str:
        """Send one message as it is."""
        message_id = self.site.send_body(body, **options)
        self.oracle.expect(message_id, body, *keys, is_dead_letter=is_dead_letter)
        return message_id

    # -- the end of a case ---------------------------------------------------------------------------------------

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is left to do except what the index has rejected permanently."""
        if self.site.depth() != (0, 0, 0):
            return False
        names = [name for name in self.site.state_keys("retry-index/") if REFUSED not in name]
        return not names

    def wait_quiet(self, timeout_s: float) -> tuple[bool, Counter[int]]:
        """Wait until nothing is left to do, restarting a worker that exits; whether that was reached, and the exit codes."""
        codes: Counter[int] = Counter()
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            code = self.keep_alive()
            if code is not None:
                codes[code] += 1
            if self.is_quiet:
                return True, codes
            time.sleep(0.2)
        return False, codes

    def send_dead_letter(self, body: str, *keys: str, is_dead_letter: bool = False, stored: bool = False) -> str:
        """Put a dead letter, as a worker would, into the DLQ or (`stored`) into `dead-letters/`; its id there."""
        failure = {
            "schema": 1, "kind": "RECOVERABLE", "error_type": "TimeoutError", "message": "why", "stack": "", "attempts": 1,
            "fingerprint": "0" * 12, "redrives": 0, "source_message_id": secrets.token_hex(8), "source_queue": "source",
        }  # fmt: skip
        name = failure["source_message_id"]
        attribute = {"DataType": "String", "StringValue": json.dumps(failure)}
        if stored:
            record = {"schema": 1, "message_id": name, "body": body, "system_attributes": {}, "message_attributes": {},
                      "failure": failure}  # fmt: skip
            key = f"dead-letters/2026-04-01/{name}.json"
            self.site.s3.put_object(Bucket=self.site.state_bucket, Key=key, Body=json.dumps(record).encode())
        else:
            attributes: Any = {"failure": attribute}
            sent = self.site.sqs.send_message(
                QueueUrl=self.site.queues.dlq, MessageBody=body, MessageAttributes=attributes
            )
            name = sent["MessageId"]
        self.oracle.expect(str(name), body, *keys, is_dead_letter=is_dead_letter)
        return str(name)

    def judgement(self, **options: Any) -> Judgement:
        """What the oracle finds; afterwards it expects nothing."""
        found = self.oracle.judgement(self.fault_proxy.traffic_log, **options)
        self.oracle.forget()
        return found

    def drop_index(self) -> None:
        """Delete index and template, as if no worker had ever run."""
        self.site.ask("DELETE", f"/{self.site.index}*")
        self.site.ask("DELETE", f"/_index_template/s3-index-worker-{self.site.index}")
        self.earlier = ()

    def empty_state(self) -> None:
        """Remove what a case has left in the state bucket."""
        self.site.empty_state()

    def calls(self) -> Counter[str]:
        """The calls that have passed the proxy, by name."""
        return Counter(map(name_of, list(self.fault_proxy.traffic_log.trace)))


@contextmanager
def stage(servers: Any, folder: Path, **env: str) -> Iterator[Stage]:
    """A new stage on the three servers (S3, SQS, index); what runs on it is killed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    seaweedfs, elasticmq, opensearch = servers
    base = make_site(seaweedfs, elasticmq, opensearch, attempts=OWN_ATTEMPTS)
    queues = create_queues(base.sqs, f"{base.index}-chaos", visibility_s=VISIBILITY_S, max_receive_count=1_000)
    site = replace(base, queues=queues)
    fault_proxy = FaultProxy({"s3": seaweedfs.url, "sqs": elasticmq.url, "index": opensearch.url}).start()
    proxied = {
        "AWS_ENDPOINT_URL_S3": fault_proxy.urls["s3"],
        "AWS_ENDPOINT_URL_SQS": fault_proxy.urls["sqs"],
        "INDEX_URL": fault_proxy.urls["index"],
        "SQS_QUEUE_URL": queues.source.replace(elasticmq.url, fault_proxy.urls["sqs"]),
        "DLQ_QUEUE_URL": queues.dlq.replace(elasticmq.url, fault_proxy.urls["sqs"]),
    }
    made = Stage(site, fault_proxy, Oracle(site), {**base.env, **HURRIED_ENV, **proxied, **env}, folder)
    try:
        yield made
    finally:
        if made.worker is not None:
            made.worker.kill()
        fault_proxy.stop()
        site.ask("DELETE", f"/{site.index}-*")
        site.close()


_numbers = itertools.count()


def fresh_name() -> str:
    """A name that no load has had before."""
    return f"c{next(_numbers):05}"


__all__ = ["BackgroundFaults", "Stage", "Strike", "fresh_name", "stage"]
