"""Check everything that must be right before the first message is received; `doctor` shows these and further checks."""

from collections.abc import Iterator, Sequence

from worker import index_checks, machine_checks, queue_checks, s3_checks
from worker.checks import CREDENTIALS, Check, Step, results
from worker.cloudwatch_check import figures
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.sqs.queue import MAX_MESSAGE_BYTES

_AWS = (CREDENTIALS,)


def check_all(settings: Settings, clients: Clients, *, thorough: bool, buckets: Sequence[str] = ()) -> Iterator[Check]:
    """Run every check in turn; `thorough` adds those that write or take longer, for `doctor`.

    `buckets` are read then, or S3_BUCKET and those that the queue's policy allows to notify it.
    """
    steps = [
        Step("settings", machine_checks.names),
        Step(CREDENTIALS, lambda: _credentials(clients)),
        *_of_queues(settings, clients),
        *_of_buckets(settings, clients),
        *(_thorough(settings, clients, buckets) if thorough else ()),
        Step("temporary files", lambda: machine_checks.temp_dir(settings)),
        Step("parsers", lambda: machine_checks.parsers(settings)),
        Step("index", lambda: index_checks.index(settings, clients, thorough=thorough)),
    ]
    return results(steps)


def dlq_max_bytes(clients: Clients) -> int:
    """The DLQ's limit for one message; the limit of new queues if the DLQ does not report one. Raises QueueError."""
    return int(clients.dlq.attributes().get("MaximumMessageSize", MAX_MESSAGE_BYTES))


def _of_queues(settings: Settings, clients: Clients) -> Iterator[Step]:
    yield Step("region", lambda: queue_checks.region(settings, clients.aws.region))
    yield Step("queue", lambda: queue_checks.queue(clients, clients.source, "SQS_QUEUE_URL"), _AWS)
    yield Step("DLQ", lambda: queue_checks.queue(clients, clients.dlq, "DLQ_QUEUE_URL"), _AWS)
    yield Step("redrive policy", lambda: queue_checks.redrive(clients), ("queue", "DLQ"))


def _of_buckets(settings: Settings, clients: Clients) -> Iterator[Step]:
    setting = "STATE_BUCKET" if settings.state_bucket else "S3_BUCKET"
    yield Step("state bucket", lambda: s3_checks.bucket_listed(clients, settings.state, setting), _AWS)
    if (bucket := settings.s3_bucket) and bucket != settings.state:
        yield Step("bucket", lambda: s3_checks.bucket_listed(clients, bucket, "S3_BUCKET"), _AWS)
    if not settings.state_bucket_shared:
        yield Step("state bucket: own", lambda: s3_checks.own_state(clients), ("queue", "state bucket"))
    yield Step("state bucket: write", lambda: s3_checks.state_round(clients), ("state bucket",))
    yield Step("clock", lambda: s3_checks.clock(clients), ("state bucket",))


def _thorough(settings: Settings, clients: Clients, buckets: Sequence[str]) -> Iterator[Step]:
    yield Step("queue: receive", lambda: queue_checks.receive(clients.source), ("queue",))
    yield Step("queue: delete", lambda: queue_checks.delete(clients.source), ("queue",))
    yield Step("queue: hide", lambda: queue_checks.hide(clients.source), ("queue",))
    yield Step("DLQ: send", lambda: queue_checks.send(clients.dlq), ("DLQ",))
    yield Step("pause", lambda: _pause(clients), ("state bucket",))
    yield Step("state bucket: calls", lambda: s3_checks.state_calls(clients), ("state bucket: write",))
    needs = _AWS if buckets or settings.s3_bucket else (*_AWS, "queue")  # its policy is asked for their names
    yield Step("sources", lambda: s3_checks.sources(clients, settings.s3_bucket, buckets), needs)
    if settings.cloudwatch_namespace:
        yield Step("CloudWatch", lambda: figures(settings, clients.aws), _AWS)
    yield Step("metrics port", lambda: machine_checks.port(settings))


def _credentials(clients: Clients) -> Check:
    found = clients.aws.credentials()
    return Check("", "ok", f"found by {found.method}, region {clients.aws.region or '(none)'}")


def _pause(clients: Clients) -> Check:
    record = clients.state.pause_record()
    if record is None:
        return Check("", "ok", "the fleet is not paused")
    return Check("", "warning", f"paused by {record.get('by', '?')} since {record.get('at', '?')}: {record['reason']}",
                 "to end the pause: s3-index-worker resume")  # fmt: skip
