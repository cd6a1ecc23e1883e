"""OpenDocument texts, spreadsheets, presentations and drawings."""

from worker.core.extract import by_xberg
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading


def read(container: Container, reading: Reading) -> None:
    """Read the document."""
    by_xberg.read(container.body, "application/vnd.oasis.opendocument.text", reading)
