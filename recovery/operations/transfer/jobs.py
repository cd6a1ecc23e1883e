"""Sends jobs to the source queue: each asks a worker to observe one object, and to index what it finds."""

import json
import threading
from collections.abc import Sequence

from worker.core.sqs.queue import Queue, Refusal, in_batch


def send_jobs(
    queue: Queue, objects: Sequence[tuple[str, str]], *, stop: threading.Event, delay_s: int | None = None
) -> dict[int, Refusal]:
    """Send a job for each of up to ten objects (bucket and key); by position, what the queue refused. Never raises.

    `delay_s`: seconds during which no worker receives them.
    """
    more = {} if delay_s is None else {"DelaySeconds": delay_s}
    entries = [
        {"MessageBody": json.dumps({"bucket": bucket, "key": key}), "MessageAttributes": {}, **more}
        for bucket, key in objects
    ]
    return in_batch(queue.send, entries, stop=stop)
