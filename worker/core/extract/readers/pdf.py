"""PDF documents."""

from worker.core.extract import by_xberg
from worker.core.extract.reading import Reading


def read(body: bytes, reading: Reading) -> None:
    """Read the document."""
    by_xberg.read(body, "application/pdf", reading)
