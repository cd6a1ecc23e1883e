"""Books in EPUB."""

from worker.core.extract import by_xberg
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading


def read(container: Container, reading: Reading) -> None:
    """Read the book."""
    by_xberg.read(container.body, "application/epub+zip", reading)
