"""What the preflight and `doctor` check of SQS: the two queues, how they refer to each other, and what may be done with them.

A check makes the real call. Where the real call would do harm (a receive raises the receive count), it is made with an
argument that AWS rejects only after it has checked the permission: SQS looks at the policies first, and "either returns an
Access denied error to the requester or continues to process the request" (SQS Developer Guide, "Amazon SQS access control
process workflow"). Only the refusal that is expected then counts as a permission.
"""

import json
from collections.abc import Callable, Iterator

from worker.checks import Check, Level, asked_at, fatality
from worker.core.base.address import region_of_queue
from worker.core.base.classify import is_denial, is_transient
from worker.core.base.credential_faults import require_credentials
from worker.core.base.errors import QueueError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.sqs.call_health import permission_hint
from worker.core.sqs.queue import Queue, Refusal

LEAST_RECEIVES = 10
"""With a smaller maxReceiveCount, good messages are dead-lettered, because restarts and outages raise the count too."""
NO_QUEUE = frozenset({"NonExistentQueue", "QueueDoesNotExist", "InvalidAddress"})
MAX_CHARS = 500
BOGUS_RECEIPT = "s3-index-worker-preflight"
UNSENDABLE = {"MessageBody": "\x01", "MessageAttributes": {}, "DelaySeconds": 901}
"""A message that nobody accepts: SQS has no such character (InvalidMessageContents) and no delay over 900 s, and moto, which
takes the character, refuses the delay (SQS API Reference, SendMessageBatch, "Errors", and SendMessage, DelaySeconds)."""
_OF_A_PARAMETER = frozenset({"InvalidParameterValue", "InvalidAttributeValue", "ReadCountOutOfRange"})
_OF_A_RECEIPT = _OF_A_PARAMETER | {"ReceiptHandleIsInvalid", "MessageNotInflight"}
_OF_A_MESSAGE = _OF_A_PARAMETER | {"InvalidMessageContents"}


def queue(clients: Clients, which: Queue, setting: str) -> Check:
    """Whether a queue exists, and its attributes may be read; `setting` is what names it."""
    try:
        attributes = which.attributes()
    except QueueError as error:
        require_credentials(error)
        if error.code.rpartition(".")[2] in NO_QUEUE:
            where = clients.aws.region or "no region"
            hint = f"{setting}={which.url}: no such queue in this account and region ({where}); compare with `aws sqs list-queues`"
            return Check("", "error", "the queue does not exist", hint, "config")
        if is_denial(error.code):
            hint = (
                f"grant this role sqs:GetQueueAttributes on {which.name}; if {setting} is of another account, its own policy "
                "must allow that too"
            )
            return Check("", "error", f"access denied: {error}", hint, fatality(error))
        where = asked_at("sqs", clients.aws.sqs(which.url).meta.endpoint_url, setting)
        hint = f"{where}, and is there a network route to it?"
        return Check("", "error", f"no answer: {error}", hint, fatality(error))
    waiting, held = (
        attributes.get("ApproximateNumberOfMessages", "?"),
        attributes.get("ApproximateNumberOfMessagesNotVisible", "?"),
    )
    return Check("", "ok", f"{which.name}: {waiting} waiting, {held} in flight")


def region(settings: Settings, own: str | None) -> Iterator[Check]:
    """Whether AWS_REGION is that of the queues, where their URLs are AWS's own and name one.

    S3 notifies only a queue of its own region (S3 User Guide, "Supported event destinations"), and a redrive policy names only
    one of the queue's own (SQS Developer Guide, "Using dead-letter queues").
    """
    found = {
        name: where
        for name, url in (("SQS_QUEUE_URL", settings.sqs_queue_url), ("DLQ_QUEUE_URL", settings.dlq_queue_url))
        if (where := region_of_queue(url))
    }
    wrong = {name: where for name, where in found.items() if own and where != own}
    for name, where in wrong.items():
        yield Check("", "error", f"{name} is of the region {where}, but AWS_REGION is {own}",
                    f"set AWS_REGION={where}, or correct {name}: metrics, alarms and buckets would be looked for in "
                    "another region", "config")  # fmt: skip
    if not wrong:
        yield Check("", "ok", f"{own or '(none)'}; {'the queues are there' if found else 'the queues name none'}")


def redrive(clients: Clients) -> Iterator[Check]:
    """Whether the queues are two, and the one's redrive policy names the other."""
    source, dlq = clients.source.attributes(), clients.dlq.attributes()
    arn, dlq_arn = source.get("QueueArn"), dlq.get("QueueArn")
    if arn and arn == dlq_arn:
        hint = "failed messages would be processed again for ever: set DLQ_QUEUE_URL to the dead-letter queue"
        yield Check("", "error", f"SQS_QUEUE_URL and DLQ_QUEUE_URL are one queue: {arn}", hint, "config")
        return
    policy = _policy(source)
    if arn and _policy(dlq).get("deadLetterTargetArn") == arn:
        hint = "exchange SQS_QUEUE_URL and DLQ_QUEUE_URL: S3 must notify the one, and failures go to the other"
        what = f"the queues are swapped: SQS_QUEUE_URL is the dead-letter queue of DLQ_QUEUE_URL ({clients.dlq.name})"
        yield Check("", "error", what, hint, "config")
        return
    if not policy:
        yield Check("", "warning", "the queue has no redrive policy", "a message that no worker can settle would be received "
                    "for ever: set a redrive policy with maxReceiveCount ≥ "
                    f"{LEAST_RECEIVES} and {dlq_arn or 'the DLQ'}")  # fmt: skip
        return
    count = int(policy.get("maxReceiveCount", 0))
    wrong = list(_unwise(policy, count, source, dlq))
    yield from wrong or [Check("", "ok", f"SQS moves messages to the DLQ after {count} receives")]


def _policy(attributes: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = json.loads(attributes.get("RedrivePolicy") or "{}")
    return found


def _unwise(policy: dict[str, str], count: int, source: dict[str, str], dlq: dict[str, str]) -> Iterator[Check]:
    level: Level = "warning"
    if policy.get("deadLetterTargetArn") != dlq.get("QueueArn"):
        what = (
            f"the redrive policy names {policy.get('deadLetterTargetArn')}, but DLQ_QUEUE_URL is {dlq.get('QueueArn')}"
        )
        yield Check("", level, what, "failed messages would be in two queues: use the same queue for both")
    if count < LEAST_RECEIVES:
        hint = f"restarts and outages raise the receive count too: set it to at least {LEAST_RECEIVES}"
        yield Check("", level, f"maxReceiveCount is {count}", hint)
    keeps, source_keeps = int(dlq.get("MessageRetentionPeriod", 0)), int(source.get("MessageRetentionPeriod", 0))
    if 0 < keeps < source_keeps:
        yield Check("", level, f"the DLQ keeps messages for {keeps} s, the queue for {source_keeps} s",
                    "a message that SQS moves to the DLQ keeps its age: set the DLQ's retention to 1209600 (14 days)")  # fmt: skip


# -- permissions -------------------------------------------------------------------------------------------------


def receive(which: Queue) -> Iterator[Check]:
    """Whether messages may be received, and decrypted: a queue's own key is used only where a message is returned."""
    permission = _permission(which, "sqs:ReceiveMessage", _try_receive, _OF_A_PARAMETER)
    yield permission
    if permission.level != "ok" or not (attributes := which.attributes()).get("KmsMasterKeyId"):
        return
    receives = int(_policy(attributes).get("maxReceiveCount", LEAST_RECEIVES))
    if attributes.get("ApproximateNumberOfMessages", "0") == "0" or receives < LEAST_RECEIVES:
        what = f"whether the key that encrypts {which.name} can be used was not tested, because no message was received"
        yield Check("", "ok", what)
        return
    tried = "a message was received to try its key, and released"
    yield _permission(which, "sqs:ReceiveMessage", _receive_one, frozenset(), tried=tried)


def delete(which: Queue) -> Check:
    """Whether messages may be deleted."""
    return _permission(which, "sqs:DeleteMessage", lambda one: one.delete([BOGUS_RECEIPT]), _OF_A_RECEIPT)


def hide(which: Queue) -> Check:
    """Whether messages may be hidden for longer, or released."""
    return _permission(
        which, "sqs:ChangeMessageVisibility", lambda one: one.change_visibility([(BOGUS_RECEIPT, 0)]), _OF_A_RECEIPT
    )


def send(which: Queue) -> Check:
    """Whether messages may be sent: tried with one that is always refused."""
    return _permission(which, "sqs:SendMessage", lambda one: one.send([UNSENDABLE]), _OF_A_MESSAGE)


def _permission(
    which: Queue,
    action: str,
    attempt: Callable[[Queue], dict[int, Refusal]],
    expected: frozenset[str],
    *,
    tried: str = "",
) -> Check:
    """Make a call that needs a permission; SQS refuses it as a whole, or in its entries.

    `expected`: the codes of a refusal that comes after the permission was checked.
    """
    try:
        refusals = [(one.code, one.message) for one in attempt(which).values()]
    except QueueError as error:
        require_credentials(error)
        if is_transient(error):
            return Check("", "error", f"{action}: {error}", "see the result for the queue above", "dependency")
        refusals = [(error.code, str(error))]
    for code, message in refusals:
        if hint := permission_hint(action, which.name, code, message):
            return Check("", "error", f"{action} was denied: {code}: {message}"[:MAX_CHARS], hint, "config")
        if code.rpartition(".")[2] not in expected:
            what = f"whether {action} is allowed was not found out: {code}: {message}"[:MAX_CHARS]
            return Check(
                "", "warning", what, "SQS refuses what was tried with another code; the first message will show it"
            )
    return Check("", "ok", tried or f"{action} is allowed")


def _try_receive(which: Queue) -> dict[int, Refusal]:
    which.receive(wait_s=0, visibility_s=0, count=0)  # SQS accepts 1 to 10, so nothing is received
    return {}


def _receive_one(which: Queue) -> dict[int, Refusal]:
    which.receive(wait_s=0, visibility_s=0, count=1)
    return {}
