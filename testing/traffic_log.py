"""The traffic log: every call that passes the proxy, and how often each message or document was received, deleted, written."""

import contextlib
import json
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

Service = Literal["sqs", "s3", "index"]

REMEMBERED_CALLS = 100_000
"""How many of the latest calls are kept individually."""


@dataclass(slots=True)
class Call:
    """One request and its result."""

    service: Service
    action: str
    """`ReceiveMessage`, `GetObject`, `_bulk`, …"""
    number: int
    """Which call of this action it is: 1 for the first."""
    keys: list[str] = field(default_factory=list)
    """The object's key; the documents' ids; receipt handles; the source message ids of dead letters."""
    status: int = 0
    """HTTP status of the answer; 0 if the connection was cut."""
    items: list[dict[str, Any]] = field(default_factory=list)
    """What the answer says about each message or document."""
    about: str = ""
    """The queue's name; `bucket/key`, for a listing `bucket/prefix`; the path in the index."""
    broken: str = ""
    """What a rule did to it; empty if it passed."""
    at: float = field(default_factory=time.time)
    """Seconds since the epoch."""

    def __str__(self) -> str:
        when = time.strftime("%H:%M:%S", time.localtime(self.at)) + f"{self.at % 1:.3f}"[1:]
        return f"{when} {self.service} {self.action} {self.about} → {self.broken or self.status}"


class TrafficLog:
    """Counts what has passed the proxy."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        """(service, action) → number of calls."""
        self.statuses: Counter[tuple[str, str, int]] = Counter()
        self.received: Counter[str] = Counter()
        """Message id → number of receives."""
        self.deleted: Counter[str] = Counter()
        """Receipt handle → number of confirmed deletions."""
        self.sent: list[str] = []
        """Ids of the messages whose sending was confirmed."""
        self.read: Counter[str] = Counter()
        """Key → number of successful GETs."""
        self.indexed_at: dict[str, float] = {}
        """Document id → time of the index's first acknowledgement, in seconds since the epoch."""
        self.trace: deque[Call] = deque(maxlen=REMEMBERED_CALLS)
        """The latest calls in order of arrival."""
        self._message_of: dict[str, str] = {}

    def requests(self, service: Service) -> int:
        """How many calls a service received."""
        return sum(count for (name, _), count in self.calls.items() if name == service)

    def begin(self, service: Service, action: str, keys: list[str], about: str) -> Call:
        """Record a call that has arrived."""
        self.calls[service, action] += 1
        call = Call(service, action, self.calls[service, action], keys, about=about)
        self.trace.append(call)
        return call

    def end(self, call: Call, status: int, content: bytes) -> None:
        """Record its answer."""
        call.status = status
        self.statuses[call.service, call.action, status] += 1
        if status >= 300:
            return
        if call.service == "s3":
            self.read.update(call.keys if call.action == "GetObject" else ())
            return
        with contextlib.suppress(ValueError, KeyError, TypeError):
            self._note(call, json.loads(content or b"{}"))

    def cut(self, call: Call, broken: str, status: int = 0) -> None:
        """Record that it got no answer, or one that was not the server's."""
        call.broken, call.status = broken, status
        self.statuses[call.service, call.action, status] += 1

    def last_calls_about(self, *names: str, at_most: int = 6) -> list[Call]:
        """The most recent calls that concern a key, a document id or a message id."""
        found = []
        for call in reversed(self.trace):
            mentioned = {call.about, *call.keys, *(self._message_of.get(key, "") for key in call.keys)}
            if any(name in mentioned or any(one.endswith("/" + name) for one in mentioned) for name in names):
                found.append(call)
            if len(found) == at_most:
                break
        return found[::-1]

    def _note(self, call: Call, answer: dict[str, Any]) -> None:
        """Record what an answer says about each message or document."""
        if call.action == "ReceiveMessage":
            messages = answer.get("Messages") or ()
            self.received.update(message["MessageId"] for message in messages)
            call.keys = [message["MessageId"] for message in messages]
            self._message_of.update({message["ReceiptHandle"]: message["MessageId"] for message in messages})
        elif call.action == "DeleteMessageBatch":
            self.deleted.update(call.keys[int(entry["Id"])] for entry in answer.get("Successful") or ())
        elif call.action == "SendMessageBatch":
            self.sent += [entry["MessageId"] for entry in answer.get("Successful") or ()]
        elif call.action == "_bulk":
            now = time.time()
            for key, item in zip(call.keys, answer["items"], strict=True):
                [result] = item.values()
                if result["status"] < 300 or result["status"] == 409:
                    self.indexed_at.setdefault(key, now)


# -- what a request is -------------------------------------------------------------------------------------------


def describe(
    service: Service, method: str, target: str, fields: Mapping[str, str], body: bytes
) -> tuple[str, list[str], str]:
    """Its action, the keys it concerns, and its subject."""
    path, _, query = target.partition("?")
    path = unquote(path)
    if service == "sqs":
        action = fields.get("x-amz-target", "?").rpartition(".")[2]
        return action, _entries(action, body), _queue(body)
    if service == "s3":
        bucket, _, key = path.lstrip("/").partition("/")
        if key:
            return f"{method.capitalize()}Object", [key], f"{bucket}/{key}"
        return f"{method.capitalize()}Bucket", [], f"{bucket}/{parse_qs(query).get('prefix', [''])[0]}"
    if path.endswith("/_bulk"):
        return "_bulk", list(_ids(body)), path
    return _index_action(method, path), [], path


def _index_action(method: str, path: str) -> str:
    """`GET _search`; `GET _index_template` of `/_index_template/name`; `GET` of an index itself."""
    parts = path.strip("/").split("/")
    last, first = parts[-1], parts[0]
    return f"{method} {last if last.startswith('_') else first if first.startswith('_') else ''}".strip()


def _queue(body: bytes) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["QueueUrl"]).rsplit("/", 1)[-1]
    return ""


def _entries(action: str, body: bytes) -> list[str]:
    """A batch's receipt handles or source message ids, in order; an entry's id is assumed to be its position."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if action in {"DeleteMessageBatch", "ChangeMessageVisibilityBatch"}:
            return [entry["ReceiptHandle"] for entry in json.loads(body)["Entries"]]
        if action == "SendMessageBatch":
            return [_source_of(entry) for entry in json.loads(body)["Entries"]]
    return []


def _source_of(dead_letter: dict[str, Any]) -> str:
    failure = dead_letter.get("MessageAttributes", {}).get("failure", {}).get("StringValue", "{}")
    return str(json.loads(failure).get("source_message_id", ""))


def _ids(body: bytes) -> Iterable[str]:
    """The ids of the documents that a bulk body writes or removes."""
    lines = iter(body.split(b"\n"))
    for line in lines:
        if line:
            [(action, about)] = json.loads(line).items()
            yield about["_id"]
            if action != "delete":
                next(lines)
