"""Sends jobs to the source queue: each asks a worker to observe one object, and to index what it finds."""

import json
import threading
from collections.abc import Sequence

from worker.core.sqs.queue import Queue, Refusal, in_batch

DEFAULT_RATE = 100.0
"""Objects per second: what a small fleet processes besides its usual messages."""


def send_jobs(queue: Queue, objects: Sequence[tuple[str, str]], *, stop: threading.Event) -> dict[int, Refusal]:
    """Send a job for each of up to ten objects (bucket and key); by position, what the queue refused. Never raises."""
    entries = [
        {"MessageBody": json.dumps({"bucket": bucket, "key": key}), "MessageAttributes": {}} for bucket, key in objects
    ]
    return in_batch(queue.send, entries, stop=stop)
