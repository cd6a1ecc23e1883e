"""Messages that Outlook has stored ([MS-OXMSG])."""

from worker.core.extract import by_xberg
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading


def read(file: Compound, reading: Reading) -> None:
    """Read the message."""
    by_xberg.read(file.body, "application/vnd.ms-outlook", reading)
