"""What tests of the verbs of `dlq` share: dead letters to work on, and what a verb said."""

import json
from typing import Any

from recovery.operations.dead_letters.facts import Ids
from testing.fakes import Fakes
from worker.core.sqs.queue import Message

AUDIT = "s3-index-worker/audit/"
BINARY = {"DataType": "Binary", "BinaryValue": b"\x00\xff"}


def ids(*names: str) -> Ids:
    return Ids(frozenset(names))


def said(capsys: Any) -> dict[str, Any]:
    """The JSON that a verb printed; log lines may stand before it."""
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def failure_of(message: Message) -> dict[str, Any]:
    return dict(json.loads(message.attributes["failure"]["StringValue"]))


def fill(fakes: Fakes, count: int, **failure: Any) -> None:
    """So many dead letters, each about an object of its own."""
    for number in range(count):
        fakes.dead_letter(f"m{number}", f"{number}.txt", failure={"error_type": "OSError", **failure})
