"""Check everything that must be right before the first message is received; `doctor` shows these and further checks.

A check makes the real call. Where the real call would do harm (a receive raises the receive count), it is made with an
argument that AWS rejects only after it has checked the permission.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, IndexUnavailableError, QueueError, StoreError, WorkerError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.s3.state import CONTROL_PREFIX
from worker.core.sqs.queue import MAX_MESSAGE_BYTES, Queue
from worker.notifications import sources_of

Level = Literal["ok", "warning", "error"]

LEAST_RECEIVES = 10
"""With a smaller maxReceiveCount, good messages are dead-lettered, because restarts and outages raise the count too."""
LONGEST_SKEW_S = 240
"""AWS rejects signatures that are off by 300 s."""
LEAST_FREE_BYTES = 1024**3
NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403"})
NO_SUCH_KEY = "s3-index-worker/doctor asks for a key that does not exist"
BOGUS_RECEIPT = "s3-index-worker-preflight"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    level: Level
    what: str
    """What was checked, and what was found."""
    hint: str = ""
    """What to do about it."""
    fatal: Literal["", "config", "dependency"] = ""
    """Whether the worker must not start: a setting is wrong, or a service that it needs cannot be reached."""
    took_ms: float = 0.0


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
        lambda: _bucket(clients, settings.state, "STATE_BUCKET" if settings.state_bucket else "S3_BUCKET"),
    )
    if settings.s3_bucket and settings.s3_bucket != settings.state:
        bucket = settings.s3_bucket
        yield from _timed("bucket", lambda: _bucket(clients, bucket, "S3_BUCKET"))
    yield from _timed("state bucket: write", lambda: _state_round(clients))
    yield from _timed("clock", lambda: _clock(clients))
    if thorough:
        yield from _timed("queue: delete", lambda: _permission(clients.source, "sqs:DeleteMessage", _try_delete))
        yield from _timed(
            "queue: hide", lambda: _permission(clients.source, "sqs:ChangeMessageVisibility", _try_change_visibility)
        )
        yield from _timed("DLQ: send", lambda: _permission(clients.dlq, "sqs:SendMessage", _try_send))
        yield from _timed("pause", lambda: _pause(clients))
        yield from _timed("sources", lambda: _sources(clients, buckets))
    yield from _timed("temporary files", lambda: _temp_dir(settings))
    yield from _timed("index", lambda: _index(clients))


def dlq_max_bytes(clients: Clients) -> int:
    """The DLQ's limit for one message; the limit of new queues if the DLQ does not report one. Raises QueueError."""
    return int(clients.dlq.attributes().get("MaximumMessageSize", MAX_MESSAGE_BYTES))


def _fatal(error: WorkerError) -> Literal["config", "dependency"]:
    """`dependency` (exit code 69) if a restart may help, otherwise `config` (78), after which systemd does not restart.

    After a denial, a restart may help: it takes seconds until a new permission is effective everywhere. A code that is
    only a status does not come from AWS.
    """
    code = getattr(error, "code", "")
    return "dependency" if is_transient(error) or code in DENIED or code.isdigit() else "config"


def _timed(name: str, check: Callable[[], Iterator[Check] | Check]) -> Iterator[Check]:
    """The results of a check, with the time it took; an error that it did not expect becomes a result too."""
    began = time.monotonic()
    try:
        found = check()
        results = [found] if isinstance(found, Check) else list(found)
    except WorkerError as error:
        results = [Check(name, "error", str(error), fatal=_fatal(error))]
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
        if error.code in DENIED:
            hint = f"allow sqs:GetQueueAttributes on {queue.name} to this role"
            return Check("", "error", f"access denied: {error}", hint, _fatal(error))
        hint = f"{setting}: is {urlsplit(url).netloc} right, and is there a network route and an endpoint for it?"
        return Check("", "error", f"no answer: {error}", hint, _fatal(error))
    waiting, held = (
        attributes.get("ApproximateNumberOfMessages", "?"),
        attributes.get("ApproximateNumberOfMessagesNotVisible", "?"),
    )
    return Check("", "ok", f"{queue.name}: {waiting} waiting, {held} in flight")


def _redrive(clients: Clients) -> Iterator[Check]:
    source, dlq = clients.source.attributes(), clients.dlq.attributes()
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


def _bucket(clients: Clients, bucket: str, setting: str) -> Check:
    try:
        clients.objects.check_bucket(bucket)
    except StoreError as error:
        if error.code == "NoSuchBucket":
            return Check("", "error", f"{bucket} does not exist", f"{setting}={bucket}: is the name correct?", "config")
        if error.code in DENIED:
            hint = f"allow s3:ListBucket on {bucket}: without it, S3 returns 403 for a missing key, and removals fail"
            return Check("", "error", "access denied", hint, _fatal(error))
        return Check("", "error", f"no answer: {error}", "is the S3 endpoint correct, and is there a network route to it?",
                     _fatal(error))  # fmt: skip
    return Check("", "ok", f"{bucket} can be listed")


def _sources(clients: Clients, buckets: Sequence[str]) -> Iterator[Check]:
    """Read from each bucket that notifies the queue: the worker holds back the messages of one in which it can read nothing."""
    named = buckets or sources_of(clients.source.attributes().get("Policy", ""))
    if not named:
        yield Check("", "ok", "the queue's policy names no buckets that may notify it; name some with --bucket")
    for bucket in named:
        listed = _bucket(clients, bucket, "--bucket" if buckets else "the queue's policy")
        if listed.level == "ok" and not clients.objects.answers_for(bucket, NO_SUCH_KEY):
            hint = (
                f"allow s3:GetObject on {bucket}/*, and the use of its KMS key; its messages are held back until then"
            )
            yield Check("", "error", f"nothing in {bucket} can be read", hint)
        elif listed.level == "ok":
            yield Check("", "ok", f"{bucket} can be read")
        else:
            yield Check("", "error", f"{bucket}: {listed.what}", listed.hint)


def _state_round(clients: Clients) -> Check:
    """Write, read and delete a record in the state bucket."""
    key, step = f"{CONTROL_PREFIX}preflight/{os.uname().nodename}-{os.getpid()}.json", "s3:PutObject"
    try:
        clients.state.put(key, b"{}")
        step = "s3:GetObject"
        clients.state.get(key)
        step = "s3:DeleteObject"
        clients.state.delete(key)
    except StoreError as error:
        where = f"s3://{clients.state.bucket}/{CONTROL_PREFIX}*"
        if error.code in DENIED:
            hint = f"allow {step} on {where}, and likewise on retry-index/*, dead-letters/* and dlq-archive/*"
            return Check("", "error", f"{step} was denied", hint, _fatal(error))
        return Check("", "error", f"{step} failed: {error}", f"make sure that {where} can be written", _fatal(error))  # fmt: skip
    return Check("", "ok", f"put, get and delete under {CONTROL_PREFIX} in {clients.state.bucket}")


def _clock(clients: Clients) -> Check:
    clients.state.calibrate_clock()
    clock = clients.objects.clock
    skew_s, sure_s = clock.skew_s(), clock.uncertainty_s
    if sure_s == float("inf"):
        return Check(
            "",
            "warning",
            "S3's answers have no Date header",
            "observations are dated by this machine's clock: keep it synchronised (chrony)",
        )
    if abs(skew_s) > LONGEST_SKEW_S:
        return Check(
            "",
            "warning",
            f"this machine's clock differs from S3's by {skew_s:+.0f} s",
            "synchronise it (chrony): AWS rejects requests that are off by 300 s",
        )
    return Check("", "ok", f"differs from S3's by {skew_s:+.3f} s (±{sure_s * 1000:.0f} ms)")


def _permission(queue: Queue, action: str, attempt: Callable[[Queue], None]) -> Check:
    try:
        attempt(queue)
    except QueueError as error:
        if error.code in DENIED:
            return Check("", "error", f"{action} was denied", f"allow {action} on {queue.name} to this role", "config")
        if is_transient(error):
            return Check("", "error", f"{action}: {error}", "see the result for the queue above", "dependency")
    return Check("", "ok", f"{action} is allowed")


def _try_delete(queue: Queue) -> None:
    queue.delete([BOGUS_RECEIPT])


def _try_change_visibility(queue: Queue) -> None:
    queue.change_visibility([(BOGUS_RECEIPT, 0)])


def _try_send(queue: Queue) -> None:
    queue.send([{"MessageBody": "\x01"}])  # SQS accepts this character in no message, so nothing is ever sent


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


def _index(clients: Clients) -> Iterator[Check]:
    where = clients.index.description
    try:
        clients.index.ping()
        state = clients.index.inspect()
    except ConfigError:
        raise
    except IndexUnavailableError as error:
        yield Check("", "warning", f"{where}: {error}", "the worker runs nevertheless: documents wait in retry-index/ until "
                    "the index is available; check the cluster's health, the address and the sign-in")  # fmt: skip
        return
    yield Check("", "ok", f"{where} answers")
    for finding in state.findings:
        yield Check("", finding.level, finding.what, finding.hint)
