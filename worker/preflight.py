"""Check everything that must be right before the first message is received; `doctor` shows these and further checks.

A check makes the real call. Where the real call would do harm (a receive raises the receive count), it is made with an
argument that AWS rejects only after it has checked the permission.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from worker import s3_checks
from worker.checks import Check, Level, fatality
from worker.core.base.classify import is_denial, is_transient
from worker.core.base.errors import ConfigError, IndexUnavailableError, QueueError, WorkerError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.extract import isolation
from worker.core.sqs.call_health import permission_hint
from worker.core.sqs.queue import MAX_MESSAGE_BYTES, Queue, Refusal

LEAST_RECEIVES = 10
"""With a smaller maxReceiveCount, good messages are dead-lettered, because restarts and outages raise the count too."""
LEAST_FREE_BYTES = 1024**3
NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
MAX_CHARS = 500
BOGUS_RECEIPT = "s3-index-worker-preflight"


def check_all(settings: Settings, clients: Clients, *, thorough: bool, buckets: Sequence[str] = ()) -> Iterator[Check]:
    """Run every check in turn; `thorough` adds those that write or take longer, for `doctor`.

    `buckets` are read then, or those that the queue's policy allows to notify it.
    """
    yield from _timed("credentials", lambda: _credentials(clients))
    yield from _timed("queue", lambda: _queue(clients.source, "SQS_QUEUE_URL", settings.sqs_queue_url))
    yield from _timed("DLQ", lambda: _queue(clients.dlq, "DLQ_QUEUE_URL", settings.dlq_queue_url))
    yield from _timed("redrive policy", lambda: _redrive(clients))
    yield from _timed(
        "state bucket",
        lambda: s3_checks.bucket_listed(
            clients, settings.state, "STATE_BUCKET" if settings.state_bucket else "S3_BUCKET"
        ),
    )
    if settings.s3_bucket and settings.s3_bucket != settings.state:
        bucket = settings.s3_bucket
        yield from _timed("bucket", lambda: s3_checks.bucket_listed(clients, bucket, "S3_BUCKET"))
    if not settings.state_bucket_shared:
        yield from _timed("state bucket: own", lambda: s3_checks.own_state(clients))
    yield from _timed("state bucket: write", lambda: s3_checks.state_round(clients))
    yield from _timed("clock", lambda: s3_checks.clock(clients))
    if thorough:
        yield from _timed("queue: receive", lambda: _receive(clients.source))
        yield from _timed("queue: delete", lambda: _permission(clients.source, "sqs:DeleteMessage", _try_delete))
        yield from _timed(
            "queue: hide", lambda: _permission(clients.source, "sqs:ChangeMessageVisibility", _try_change_visibility)
        )
        yield from _timed("DLQ: send", lambda: _permission(clients.dlq, "sqs:SendMessage", _try_send))
        yield from _timed("pause", lambda: _pause(clients))
        yield from _timed("state bucket: calls", lambda: s3_checks.state_calls(clients))
        yield from _timed("sources", lambda: s3_checks.sources(clients, buckets))
    yield from _timed("temporary files", lambda: _temp_dir(settings))
    yield from _timed("parsers", lambda: _parsers(settings))
    yield from _timed("index", lambda: _index(clients))


def dlq_max_bytes(clients: Clients) -> int:
    """The DLQ's limit for one message; the limit of new queues if the DLQ does not report one. Raises QueueError."""
    return int(clients.dlq.attributes().get("MaximumMessageSize", MAX_MESSAGE_BYTES))


def _timed(name: str, check: Callable[[], Iterator[Check] | Check]) -> Iterator[Check]:
    """The results of a check, with the time it took; an error that it did not expect becomes a result too."""
    began = time.monotonic()
    try:
        found = check()
        results = [found] if isinstance(found, Check) else list(found)
    except WorkerError as error:
        results = [Check(name, "error", str(error), fatal=fatality(error))]
    took_ms = (time.monotonic() - began) * 1000
    for result in results:
        yield Check(name, result.level, result.what, result.hint, result.fatal, round(took_ms, 1))


def _credentials(clients: Clients) -> Check:
    found = clients.aws.credentials()
    return Check("", "ok", f"found by {found.method}, region {clients.aws.region or '(none)'}")


def _queue(queue: Queue, setting: str, url: str) -> Check:
    try:
        attributes = queue.attributes()
    except QueueError as error:
        if error.code in NO_QUEUE:
            hint = f"{setting}={url}: no such queue in this account and region; compare with `aws sqs list-queues`"
            return Check("", "error", "the queue does not exist", hint, "config")
        if is_denial(error.code):
            hint = f"allow this role sqs:GetQueueAttributes on {queue.name}"
            return Check("", "error", f"access denied: {error}", hint, fatality(error))
        hint = f"{setting}: is {urlsplit(url).netloc} right, and is there a network route and an endpoint for it?"
        return Check("", "error", f"no answer: {error}", hint, fatality(error))
    waiting, held = (
        attributes.get("ApproximateNumberOfMessages", "?"),
        attributes.get("ApproximateNumberOfMessagesNotVisible", "?"),
    )
    return Check("", "ok", f"{queue.name}: {waiting} waiting, {held} in flight")


def _redrive(clients: Clients) -> Iterator[Check]:
    source, dlq = clients.source.attributes(), clients.dlq.attributes()
    if "QueueArn" in source and source["QueueArn"] == dlq.get("QueueArn"):
        hint = "failed messages would be processed again for ever: set DLQ_QUEUE_URL to the dead-letter queue"
        yield Check("", "error", f"SQS_QUEUE_URL and DLQ_QUEUE_URL are one queue: {source['QueueArn']}", hint, "config")
        return
    policy = json.loads(source.get("RedrivePolicy", "{}"))
    if not policy:
        yield Check("", "warning", "the queue has no redrive policy", "a message that no worker can settle would be received "
                    "for ever: set a redrive policy with maxReceiveCount ≥ "
                    f"{LEAST_RECEIVES} and {dlq.get('QueueArn', 'the DLQ')}")  # fmt: skip
        return
    target, count = policy.get("deadLetterTargetArn"), int(policy.get("maxReceiveCount", 0))
    level: Level = "ok"
    if target != dlq.get("QueueArn"):
        level = "warning"
        yield Check("", level, f"the redrive policy names {target}, but DLQ_QUEUE_URL is {dlq.get('QueueArn')}",
                    "failed messages would be in two queues: use the same queue for both")  # fmt: skip
    if count < LEAST_RECEIVES:
        level = "warning"
        yield Check(
            "",
            level,
            f"maxReceiveCount is {count}",
            f"restarts and outages raise the receive count too: set it to at least {LEAST_RECEIVES}",
        )
    keeps, source_keeps = int(dlq.get("MessageRetentionPeriod", 0)), int(source.get("MessageRetentionPeriod", 0))
    if 0 < keeps < source_keeps:
        level = "warning"
        yield Check("", level, f"the DLQ keeps messages for {keeps} s, the queue for {source_keeps} s",
                    "a message that SQS moves to the DLQ keeps its age: set the DLQ's retention to 1209600 (14 days)")  # fmt: skip
    if level == "ok":
        yield Check("", "ok", f"SQS moves messages to the DLQ after {count} receives")


def _receive(queue: Queue) -> Iterator[Check]:
    """Whether messages may be received, and decrypted: a queue's own key is used only where a message is returned."""
    permission = _permission(queue, "sqs:ReceiveMessage", _try_receive)
    yield permission
    if permission.level != "ok" or not (attributes := queue.attributes()).get("KmsMasterKeyId"):
        return
    receives = int(json.loads(attributes.get("RedrivePolicy", "{}")).get("maxReceiveCount", LEAST_RECEIVES))
    if attributes.get("ApproximateNumberOfMessages", "0") == "0" or receives < LEAST_RECEIVES:
        yield Check(
            "",
            "ok",
            f"whether the key that encrypts {queue.name} can be used was not tested, because no message was received",
        )
        return
    yield _permission(
        queue, "sqs:ReceiveMessage", _receive_one, tried="a message was received to try its key, and released"
    )


def _permission(queue: Queue, action: str, attempt: Callable[[Queue], dict[int, Refusal]], *, tried: str = "") -> Check:
    """Make a call that needs a permission; SQS refuses it as a whole, or in its entries."""
    try:
        refusals = [(one.code, one.message) for one in attempt(queue).values()]
    except QueueError as error:
        if is_transient(error):
            return Check("", "error", f"{action}: {error}", "see the result for the queue above", "dependency")
        refusals = [(error.code, str(error))]
    for code, message in refusals:
        if hint := permission_hint(action, queue.name, code, message):
            return Check("", "error", f"{action} was denied: {code}: {message}"[:MAX_CHARS], hint, "config")
    return Check("", "ok", tried or f"{action} is allowed")


def _try_receive(queue: Queue) -> dict[int, Refusal]:
    queue.receive(wait_s=0, visibility_s=0, count=0)  # SQS accepts 1 to 10, so nothing is received
    return {}


def _receive_one(queue: Queue) -> dict[int, Refusal]:
    queue.receive(wait_s=0, visibility_s=0, count=1)
    return {}


def _try_delete(queue: Queue) -> dict[int, Refusal]:
    return queue.delete([BOGUS_RECEIPT])


def _try_change_visibility(queue: Queue) -> dict[int, Refusal]:
    return queue.change_visibility([(BOGUS_RECEIPT, 0)])


def _try_send(queue: Queue) -> dict[int, Refusal]:
    # SQS accepts this character in no message, so nothing is ever sent.
    return queue.send([{"MessageBody": "\x01", "MessageAttributes": {}}])


def _pause(clients: Clients) -> Check:
    record = clients.state.pause_record()
    if record is None:
        return Check("", "ok", "the fleet is not paused")
    return Check("", "warning", f"paused by {record.get('by', '?')} since {record.get('at', '?')}: {record['reason']}",
                 "to end the pause: s3-index-worker resume")  # fmt: skip


def _temp_dir(settings: Settings) -> Check:
    folder = settings.temp_dir
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return Check("", "error", f"TEMP_DIR={folder} is not a writable folder", "set TEMP_DIR to one", "config")
    free = shutil.disk_usage(folder).free
    need = max(LEAST_FREE_BYTES, settings.worker_concurrency * settings.max_object_bytes // 4)
    if free < need:
        return Check(
            "",
            "warning",
            f"{folder} has {free / 1e9:.1f} GB free",
            f"large objects are stored there temporarily; {need / 1e9:.1f} GB would be safe",
        )
    return Check("", "ok", f"{folder} has {free / 1e9:.0f} GB free")


def _parsers(settings: Settings) -> Check:
    try:
        missing = isolation.probe(settings.temp_dir)
    except OSError as error:
        return Check(
            "", "warning", f"no parser can be started: {error}", "office files, PDF and mail wait until one can be"
        )
    if missing:
        return Check("", "warning", "; ".join(missing), "install libseccomp 2.4 or newer (libseccomp2 on Debian), and use a "
                     "kernel with Landlock (5.13 or newer, enabled by lsm=landlock,…): see SECURITY.md")  # fmt: skip
    return Check(
        "", "ok", "isolated: a parser reaches no network, no other process, and no file but those that it is given"
    )


def _index(clients: Clients) -> Iterator[Check]:
    where = clients.index.description
    try:
        clients.index.ping()
        state = clients.index.inspect()
        reindex = clients.reindex.look()
    except ConfigError:
        raise
    except IndexUnavailableError as error:
        yield Check("", "warning", f"{where}: {error}", "the worker runs nevertheless: documents wait in retry-index/ until "
                    "the index is available; check the cluster's health, the address and the sign-in")  # fmt: skip
        return
    yield Check("", "ok", f"{where} answers")
    if reindex is not None:
        both = f"{reindex.old} and {reindex.new}"
        yield Check("", "ok", f"a reindex by {reindex.by} is under way, with {both}: see `reindex_index --status`")
    for finding in state.findings:
        yield Check("", finding.level, finding.what, finding.hint)
