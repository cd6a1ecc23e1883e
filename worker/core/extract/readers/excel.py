"""Excel workbooks before 2007 ([MS-XLS])."""

from worker.core.extract import by_xberg
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading


def read(file: Compound, reading: Reading) -> None:
    """Read the workbook."""
    by_xberg.read(file.body, "application/vnd.ms-excel", reading)
