"""The ways in which a call to S3, SQS or the index can fail, each in that server's wording; and a rule that injects them.

Calls are named by their purpose: `s3 PutObject retry-index`, `sqs DeleteMessageBatch source`, `index _bulk`.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from testing.fault_proxy import Broken, Call

GARBAGE = b"\x00\x01 this is <neither> {what was asked for \xff"
HANG_S = 8.0
"""Longer than any timeout of programs with shortened waits."""
UNREACHABLE_S = 1.5
STATUSES = (400, 403, 404, 429, 500, 503)

_S3_CODES = {
    400: "BadRequest", 403: "AccessDenied", 429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"
}  # fmt: skip
_SQS_CODES = {
    400: "com.amazonaws.sqs#UnsupportedOperation", 403: "com.amazonaws.sqs#AccessDeniedException",
    429: "com.amazonaws.sqs#RequestThrottled", 500: "com.amazonaws.sqs#InternalFailure",
    503: "com.amazonaws.sqs#ServiceUnavailable",
}  # fmt: skip
_INDEX_KINDS = {
    400: "illegal_argument_exception", 403: "security_exception", 404: "index_not_found_exception",
    429: "rejected_execution_exception", 500: "null_pointer_exception", 503: "cluster_manager_not_discovered_exception",
}  # fmt: skip


def name_of(call: Call) -> str:
    """A call's name and purpose, the same in every run."""
    if call.service == "sqs":
        return f"sqs {call.action} {'dlq' if call.about.endswith('-dlq') else 'source'}"
    if call.service == "index":
        return f"index {call.action}"
    bucket, _, key = call.about.partition("/")
    if not bucket.endswith("-state"):
        return f"s3 {call.action} objects"
    first, _, rest = key.partition("/")
    return f"s3 {call.action} {rest.partition('/')[0].removesuffix('.json') if first == 's3-index-worker' else first}".strip()


# -- the faults --------------------------------------------------------------------------------------------------


def refusal(service: str, status: int) -> Broken:
    """An error as this service words it. S3's 404 has no code, as from a confused proxy: NoSuchKey would state a fact."""
    if service == "s3":
        code = _S3_CODES.get(status)
        body = f"<Error><Code>{code}</Code><Message>by the test</Message></Error>" if code else ""
    elif service == "sqs":
        body = json.dumps({"__type": _SQS_CODES.get(status, ""), "message": "by the test"}) if status != 404 else ""
    else:
        error = {"type": _INDEX_KINDS[status], "reason": "by the test"}
        body = json.dumps({"error": error, "status": status})
    return Broken("answer", status=status, body=body.encode())


def s3_error(code: str, status: int) -> Broken:
    """Any other error of S3's."""
    return Broken(
        "answer", status=status, body=f"<Error><Code>{code}</Code><Message>by the test</Message></Error>".encode()
    )


def _partial(call: Call) -> Broken | None:
    """Every other entry, or the only one, is refused: the server never sees it, and the answer reports it."""
    if call.service == "sqs" and call.action.endswith("Batch"):
        return _batch_refusing(call, {at for at in range(len(call.keys)) if at % 2 or len(call.keys) == 1})
    if call.action == "_bulk":
        return bulk_refusing(call, lambda at, _: bool(at % 2) or len(call.keys) == 1)
    if call.action == "PostBucket":
        return Broken("rewrite", rewrite=_with_delete_error)
    return None


def _batch_refusing(call: Call, refused: set[int]) -> Broken:
    failed = [
        {"Id": str(at), "Code": "InternalError", "Message": "by the test", "SenderFault": False} for at in refused
    ]
    if len(refused) == len(call.keys):
        return Broken("answer", status=200, body=json.dumps({"Successful": [], "Failed": failed}).encode())

    def request(body: bytes) -> bytes:
        asked = json.loads(body)
        return json.dumps(
            {**asked, "Entries": [e for at, e in enumerate(asked["Entries"]) if at not in refused]}
        ).encode()

    def answer(body: bytes) -> bytes:
        said = _loads(body)
        return json.dumps({**said, "Failed": [*said.get("Failed", []), *failed]}).encode()

    return Broken("rewrite", request=request, rewrite=answer)


def bulk_refusing(
    call: Call, chosen: Callable[[int, str], bool], *, status: int = 429, kind: str = "rejected_execution_exception"
) -> Broken | None:  # fmt: skip
    """The index refuses the chosen documents of a bulk, by position and id; None if none is chosen."""
    refused = {at for at, name in enumerate(call.keys) if chosen(at, name)}
    item = {"index": {"status": status, "error": {"type": kind, "reason": "by the test"}}}
    if not refused:
        return None
    if len(refused) == len(call.keys):
        return Broken("answer", status=200, body=json.dumps({"errors": True, "items": [item] * len(refused)}).encode())

    def request(body: bytes) -> bytes:
        return b"".join(action for at, action in enumerate(_actions(body)) if at not in refused)

    def answer(body: bytes) -> bytes:
        items = iter(_loads(body).get("items", []))
        found = [item if at in refused else next(items) for at in range(len(call.keys))]
        return json.dumps({"errors": True, "items": found}).encode()

    return Broken("rewrite", request=request, rewrite=answer)


def _actions(body: bytes) -> Iterator[bytes]:
    """A bulk's actions, each with its document."""
    lines = iter(body.split(b"\n"))
    for line in lines:
        if line:
            yield line + b"\n" + (b"" if line.startswith(b'{"delete"') else next(lines) + b"\n")


def _with_delete_error(body: bytes) -> bytes:
    """Add an error for one key to the answer. The signed request must pass unchanged, so the error is untrue."""
    if b"<DeleteResult" not in body:
        return body
    error = b"<Error><Key>(by the test)</Key><Code>InternalError</Code><Message>by the test</Message></Error>"
    if b"</DeleteResult>" in body:
        return body.replace(b"</DeleteResult>", error + b"</DeleteResult>")
    return b"<DeleteResult>" + error + b"</DeleteResult>"


def _fewer(call: Call) -> Broken | None:
    """The answer mentions half of what was asked, or contains half of what was received."""
    if call.service == "sqs" and (call.action.endswith("Batch") or call.action == "ReceiveMessage"):
        name = "Messages" if call.action == "ReceiveMessage" else "Successful"
        return Broken("rewrite", rewrite=lambda body: _halved(body, name))
    if call.service == "index" and call.action in {"_bulk", "POST _mget"}:
        return Broken("rewrite", rewrite=lambda body: _halved(body, "items" if call.action == "_bulk" else "docs"))
    return None


def _halved(body: bytes, name: str) -> bytes:
    said = _loads(body)
    found = said.get(name) or []
    return json.dumps({**said, name: found[: len(found) // 2]}).encode()


def _loads(body: bytes) -> dict[str, Any]:
    found = json.loads(body or b"{}")
    return found if isinstance(found, dict) else {}


def _garbage(_call: Call) -> Broken:
    return Broken("answer", status=200, body=GARBAGE)


def _trickle(call: Call) -> Broken | None:
    return None if call.action.startswith("Head") else Broken("trickle")  # a HEAD has no body to trickle


def _refused(status: int) -> Callable[[Call], Broken | None]:
    return lambda call: refusal(call.service, status)


FAULTS: dict[str, Callable[[Call], Broken | None]] = {
    "unreachable": lambda _: Broken("unreachable", hang_s=UNREACHABLE_S),
    "reset before": lambda _: Broken("refuse"),
    "reset after": lambda _: Broken("lose"),
    "timeout": lambda _: Broken("hang", hang_s=HANG_S),
    **{str(status): _refused(status) for status in STATUSES},
    "trickle": _trickle,
    "garbage": _garbage,
    "partial": _partial,
    "fewer": _fewer,
    "death before": lambda _: Broken("refuse"),
    "death after": lambda _: Broken("lose"),
}
"""Name → what it does to a call; None if it does not apply to that call."""
DEATHS = frozenset({"death before", "death after"})
"""The program is killed at the call, before or after the server has acted; a Strike does that."""


def applies(fault: str, call: Call) -> bool:
    """Whether a fault applies to such a call."""
    return FAULTS[fault](call) is not None


# -- rules -------------------------------------------------------------------------------------------------------


@dataclass
class Strike:
    """Breaks one kind of call from number `first` on, once or until it is healed."""

    name: str
    fault: str
    first: int = 1
    for_ever: bool = False
    kill: Callable[[], None] = lambda: None
    """Sends SIGKILL to the calling program."""
    seen: int = 0
    hits: int = 0
    _healed: threading.Event = field(default_factory=threading.Event)

    def __call__(self, call: Call) -> Broken | None:
        if self._healed.is_set() or name_of(call) != self.name:
            return None
        self.seen += 1
        if self.seen < self.first or (self.hits and not self.for_ever):
            return None
        self.hits += 1
        if self.fault in DEATHS:
            self.kill()  # before its request goes on: it must not see how that ended
        return FAULTS[self.fault](call)

    def heal(self) -> None:
        """Stop breaking calls."""
        self._healed.set()

    def __str__(self) -> str:
        return f"{self.name} × {self.fault}, {'for ever' if self.for_ever else 'once'} from no. {self.first}"
