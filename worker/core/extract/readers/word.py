"""Word documents since 2007 (WordprocessingML, [ECMA-376])."""

from worker.core.extract import by_xberg
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading


def read(container: Container, reading: Reading) -> None:
    """Read the document."""
    by_xberg.read(container.body, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", reading)
