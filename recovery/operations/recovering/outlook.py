"""What recovery would do with a dead letter, without doing it: the engine of a dry run, and its verdict in words."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Protocol

from recovery.operations.dead_letters.message_types import MessageTypes
from recovery.operations.engine import FOREIGN_TYPE, Disposition, RecoveryEngine, Verdict
from worker.core.base.settings import Settings
from worker.core.base.text import exact
from worker.core.clients import Clients, make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.retry_store import RetryStore
from worker.core.sqs.dead_letter import DeadLetter

MAX_CHARS = 500
_SAID = {
    Disposition.SKIPPED: "recovery would archive it, because there is nothing to index",
    Disposition.ALREADY_INDEXED: "recovery would only remove it: the index holds the object as it is now",
    Disposition.GONE: "recovery would remove it, and the document if there is one: the object no longer exists",
    Disposition.RECOVERED: "recovery would index it: its object can be read",
    Disposition.STORED_FOR_RETRY: "recovery would store its document in retry-index/, because the index refuses it",
    Disposition.ARCHIVED: "recovery would archive it",
    Disposition.KEPT: "recovery could not decide when it was looked at",
}
_FINAL = "recovery would keep it until the cause is corrected"


class Examiner(Protocol):
    """What says what recovery would do."""

    def examine(self, dead_letters: Sequence[DeadLetter]) -> list[Verdict]:
        """A verdict for each, in order; nothing is written. Raises IndexUnavailableError."""


def sentence(verdict: Verdict) -> str:
    """What recovery would do, in one line."""
    if verdict.error_type == FOREIGN_TYPE:
        return exact(verdict.reason)[:MAX_CHARS]
    said = _FINAL if verdict.is_final else _SAID[verdict.disposition]
    cause = verdict.cause if verdict.is_final and verdict.cause not in verdict.reason else ""
    return exact(": ".join(filter(None, (said, cause, verdict.reason))))[:MAX_CHARS]


def dry_engine(
    settings: Settings, clients: Clients, types: MessageTypes, stop: threading.Event, stack: ExitStack
) -> Examiner:
    """The engine of a dry run, which ends with the stack."""
    extractor = stack.enter_context(closing(make_extractor(settings)))
    retry = stack.enter_context(closing(RetryStore(clients.state)))
    pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="diagnose"))
    pipeline = Pipeline(settings, clients.objects, extractor=extractor)
    return RecoveryEngine(
        settings, clients, pipeline=pipeline, retry=retry, pool=pool, types=types, stopping=stop, dry_run=True
    )
