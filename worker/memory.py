"""What one record may take of the memory budget, step by step: its body, its text, its parsing, and its document.

No step waits for memory while it holds any: then none could go on.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from worker.byte_budget import ByteBudget, Reservation
from worker.core.indexing.pipeline import Pipeline, Product
from worker.core.s3.objects import Snapshot
from worker.core.sqs.in_flight import InFlightMessage

MEMORY_FACTOR = 3
"""A body in memory, its text, and the document made of it."""
DOCUMENT_FACTOR = 2
"""A document, and the request in which it is sent."""


class RecordMemory:
    """The memory of one record. Every method may wait.

    They raise InterruptedError when the worker stops meanwhile, and OutageError at the deadline of the record's message.
    """

    def __init__(self, budget: ByteBudget, item: InFlightMessage, stop: threading.Event) -> None:
        """`stop` ends every wait."""
        self._budget = budget
        self._held = Reservation(budget)
        self._item = item
        self._stop = stop

    def for_body(self, size: int) -> None:
        """Before a body of so many bytes is read into memory."""
        self._at_least(self._held, MEMORY_FACTOR * size)

    def for_text(self, snapshot: Snapshot, pipeline: Pipeline) -> None:
        """Before a file is read on this thread: where it is a long text, what that and its document take."""
        self._at_least(self._held, pipeline.memory_of_text(snapshot))

    @contextmanager
    def for_parsing(self, snapshot: Snapshot, pipeline: Pipeline) -> Iterator[None]:
        """While a file is parsed on this thread: what that may take besides."""
        parsing = Reservation(self._budget)
        try:
            if need := pipeline.memory_in_process(snapshot):
                self._at_least(parsing, need)
            yield
        finally:
            parsing.release()

    def for_document(self, product: Product) -> None:
        """Once there is a document: what it takes until its effect is durable, and no more."""
        with self._item.waiting():
            self._held.exactly(DOCUMENT_FACTOR * product.write.size_bytes, until=self._item.deadline, stop=self._stop)

    def release(self) -> None:
        """Return everything."""
        self._held.release()

    def _at_least(self, reservation: Reservation, size: int) -> None:
        with self._item.waiting():
            reservation.at_least(size, until=self._item.deadline, stop=self._stop)
