"""What is said of a stored dead letter in plain words: who holds it, when it is retried, what became of its sending."""

import time

from recovery.operations.dead_letters.facts import Facts
from worker.core.sqs.stored_dead_letter import StoredDeadLetter, StoredState
from worker.terminal import span

IN_DLQ = "in the queue"


def status_of(facts: Facts) -> str:
    """The same of a dead letter wherever it is, with its owner."""
    if facts.stored is None:
        return IN_DLQ
    owner = f"; owner {facts.stored.owner}" if facts.stored.owner else ""
    return status(facts.stored) + owner


def status(stored: StoredDeadLetter, *, now_s: float | None = None) -> str:
    """Its present state, in a few words; `now_s` is in seconds since the epoch."""
    now = time.time() if now_s is None else now_s
    if stored.hold is not None:
        return f"held by {stored.hold.by}: {stored.hold.reason}"
    if stored.state is StoredState.SENT and stored.sent is not None:
        ago = span(now - stored.sent.at_ms / 1000)
        known = "" if stored.is_waiting(int(now * 1000)) else ", unconfirmed: it may be sent again"
        return f"sent {ago} ago by {stored.sent.by}{known}"
    if stored.is_scheduled:
        left_s = (stored.retry.at_ms or 0) / 1000 - now
        by = f", as {stored.retry.by} wants" if stored.retry.by else ""
        return f"{retries(stored)} {f'in {span(left_s)}' if left_s > 0 else 'due'}{by}"
    return f"open, after {retries(stored, ordinal=False)}" if stored.retry.count else "open"


def retries(stored: StoredDeadLetter, *, ordinal: bool = True) -> str:
    """Which retry comes next; or how many there were."""
    count = stored.retry.count
    return f"retry {count + 1}" if ordinal else f"{count} {'retry' if count == 1 else 'retries'}"
