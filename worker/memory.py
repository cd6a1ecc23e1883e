"""What one record may take of memory, step by step: its body, its parsing, and its document.

Bodies and documents have a budget each. Whoever waits for room for a document holds none for a body; and what documents hold
is given back by the batcher, which waits for no memory. In one budget, bodies that wait for a parser could fill the room that
the documents need for which the parsers wait.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from worker.byte_budget import MemoryBudget, Reservation
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

    def __init__(self, budget: MemoryBudget, item: InFlightMessage, stop: threading.Event) -> None:
        """`stop` ends every wait."""
        self._bodies = budget.bodies
        self._body, self._document = Reservation(budget.bodies), Reservation(budget.documents)
        self._item = item
        self._stop = stop

    def for_body(self, size: int) -> None:
        """Before a body of so many bytes is read into memory."""
        self._at_least(self._body, MEMORY_FACTOR * size)

    @contextmanager
    def for_parsing(self, snapshot: Snapshot, pipeline: Pipeline) -> Iterator[None]:
        """While a file is parsed on this thread: what that may take besides."""
        parsing = Reservation(self._bodies)
        try:
            if need := pipeline.memory_in_process(snapshot):
                self._at_least(parsing, need)
            yield
        finally:
            parsing.release()

    def for_document(self, product: Product) -> None:
        """Once there is a document, and the body is gone: what it takes until its effect is durable."""
        self._body.release()
        self._at_least(self._document, DOCUMENT_FACTOR * product.write.size_bytes)

    def release(self) -> None:
        """Return everything."""
        self._body.release()
        self._document.release()

    def _at_least(self, reservation: Reservation, size: int) -> None:
        with self._item.waiting():
            reservation.at_least(size, until=self._item.deadline, stop=self._stop)
