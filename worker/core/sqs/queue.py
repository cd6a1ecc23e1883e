"""SQS, in batches. A batch call can fail in part: each method returns what failed, and only the rest has been done."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from worker.core.base.aws import aws_errors
from worker.core.base.errors import QueueError
from worker.core.base.retry import retry_transient

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_BATCH = 10
"""Entries of one batch call (SQS quotas)."""
MAX_MESSAGE_BYTES = 1024 * 1024
"""A message with its attributes, and a batch in all; queues made before 2025 may still be set to 256 KiB."""
MAX_ATTRIBUTES = 10


@dataclass(slots=True)
class Message:
    """One message as received. Its body is never changed on the way to the DLQ."""

    id: str
    receipt: str
    body: str
    system: Mapping[str, str]
    """SentTimestamp, ApproximateReceiveCount and others, as SQS spells them."""
    attributes: Mapping[str, Any]
    """The sender's message attributes, in the form in which SQS returns them."""
    received_at: float = field(default_factory=time.monotonic)

    @property
    def receives(self) -> int:
        """How often it has been received, including this time."""
        return int(self.system.get("ApproximateReceiveCount", "1"))

    @property
    def sent_ms(self) -> int | None:
        """When it entered the queue, ms since the epoch."""
        sent = self.system.get("SentTimestamp")
        return int(sent) if sent else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One entry of a batch that SQS did not accept."""

    code: str
    message: str
    senders_fault: bool


class Queue(Protocol):
    """One queue. Every method may be called from any thread and raises QueueError when the call as a whole fails."""

    @property
    def url(self) -> str:
        """The queue's URL."""

    @property
    def name(self) -> str:
        """The queue's name, the last part of its URL."""

    def receive(self, *, wait_s: int, visibility_s: int, count: int = MAX_BATCH) -> list[Message]:
        """Up to `count` (≤ 10) messages, waiting up to `wait_s` (≤ 20) seconds for the first."""

    def delete(self, receipts: Sequence[str]) -> dict[int, Refusal]:
        """Delete up to 10; by position, what was refused."""

    def change_visibility(self, receipts: Sequence[tuple[str, int]]) -> dict[int, Refusal]:
        """Set when up to 10 become visible, seconds from now (0–43,200); by position, what was refused."""

    def send(self, entries: Sequence[Mapping[str, Any]]) -> dict[int, Refusal]:
        """Send up to 10, of 1 MiB in all (`MessageBody`, `MessageAttributes`); by position, what was refused."""

    def attributes(self) -> dict[str, str]:
        """The queue's attributes: depth, redrive policy, limits, its ARN."""

    def start_move(self, to_arn: str, *, per_second: int | None) -> str:
        """Let SQS move everything in this queue to another (StartMessageMoveTask); returns the handle to cancel it by."""

    def move(self) -> dict[str, Any]:
        """The state of the latest move out of this queue, as SQS returns it; empty if there was none."""

    def cancel_move(self, handle: str) -> None:
        """Cancel a move; what has been moved stays moved."""


class SqsQueue:
    """A queue of SQS."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self.url = url

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return self.url.rsplit("/", 1)[-1]

    def receive(self, *, wait_s: int, visibility_s: int, count: int = MAX_BATCH) -> list[Message]:
        """One ReceiveMessage call, with all attributes."""
        with aws_errors(QueueError):
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=wait_s,
                VisibilityTimeout=visibility_s,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            return [
                Message(
                    id=m["MessageId"],
                    receipt=m["ReceiptHandle"],
                    body=m["Body"],
                    system=m.get("Attributes", {}),  # type: ignore[arg-type]
                    attributes=m.get("MessageAttributes", {}),
                )
                for m in answer.get("Messages", [])
            ]

    def delete(self, receipts: Sequence[str]) -> dict[int, Refusal]:
        """One DeleteMessageBatch call."""
        return self._batch(self._client.delete_message_batch, [{"ReceiptHandle": r} for r in receipts])

    def change_visibility(self, receipts: Sequence[tuple[str, int]]) -> dict[int, Refusal]:
        """One ChangeMessageVisibilityBatch call."""
        entries = [{"ReceiptHandle": r, "VisibilityTimeout": seconds} for r, seconds in receipts]
        return self._batch(self._client.change_message_visibility_batch, entries)

    def send(self, entries: Sequence[Mapping[str, Any]]) -> dict[int, Refusal]:
        """One SendMessageBatch call."""
        return self._batch(self._client.send_message_batch, entries)

    def send_one(self, entry: Mapping[str, Any]) -> str:
        """One SendMessage call; the id that SQS gave the message. Raises QueueError."""
        with aws_errors(QueueError):
            return self._client.send_message(QueueUrl=self.url, **entry)["MessageId"]

    def close(self) -> None:
        """Close the client's connections; for whoever made it for this queue alone."""
        self._client.close()

    def attributes(self) -> dict[str, str]:
        """One GetQueueAttributes call."""
        with aws_errors(QueueError):
            answer = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
            return dict(answer["Attributes"])  # type: ignore[arg-type]

    def start_move(self, to_arn: str, *, per_second: int | None) -> str:
        """One StartMessageMoveTask call."""
        rate: Any = {} if per_second is None else {"MaxNumberOfMessagesPerSecond": per_second}
        with aws_errors(QueueError):
            answer = self._client.start_message_move_task(
                SourceArn=self.attributes()["QueueArn"], DestinationArn=to_arn, **rate
            )
        return answer["TaskHandle"]

    def move(self) -> dict[str, Any]:
        """One ListMessageMoveTasks call."""
        with aws_errors(QueueError):
            answer = self._client.list_message_move_tasks(SourceArn=self.attributes()["QueueArn"], MaxResults=1)
        return dict(answer["Results"][0]) if answer.get("Results") else {}

    def cancel_move(self, handle: str) -> None:
        """One CancelMessageMoveTask call."""
        with aws_errors(QueueError):
            self._client.cancel_message_move_task(TaskHandle=handle)

    def _batch(self, call: Callable[..., Any], entries: Sequence[Mapping[str, Any]]) -> dict[int, Refusal]:
        """Make one batch call; an entry that is named neither in Successful nor in Failed counts as refused."""
        numbered = [{**entry, "Id": str(position)} for position, entry in enumerate(entries)]
        with aws_errors(QueueError):
            answer = call(QueueUrl=self.url, Entries=numbered)
            refused = {
                int(f["Id"]): Refusal(f.get("Code", "Unknown"), f.get("Message", ""), f.get("SenderFault", False))
                for f in answer.get("Failed", [])
            }
            taken = {int(s["Id"]) for s in answer.get("Successful", [])}
        for position in range(len(entries)):
            if position not in taken and position not in refused:
                refused[position] = Refusal("NoAnswer", "the answer does not mention this entry", senders_fault=False)
        return refused


def in_batch(
    call: Callable[[Sequence[Any]], dict[int, Refusal]], entries: Sequence[Any], *, stop: threading.Event
) -> dict[int, Refusal]:
    """Make a batch call, again for what was refused with a transient error; by position, what remains refused. Never raises."""
    left = list(range(len(entries)))
    refused: dict[int, Refusal] = {}

    def attempt() -> None:
        nonlocal left
        answer = call([entries[position] for position in left])
        refused.update({left[at]: refusal for at, refusal in answer.items()})
        for position in [p for at, p in enumerate(left) if at not in answer]:
            refused.pop(position, None)
        left = [left[at] for at, refusal in answer.items() if not refusal.senders_fault]
        if left:
            first = refused[left[0]]
            raise QueueError(first.message, code=first.code)

    try:
        retry_transient(attempt, transient=lambda error: isinstance(error, QueueError), stop=stop)
    except QueueError as error:
        for position in left:
            refused.setdefault(position, Refusal(error.code, str(error), senders_fault=False))
    return refused
