"""Workbooks since Excel 2007 (SpreadsheetML, [ECMA-376]; [MS-XLSB])."""

from worker.core.extract import by_xberg
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading


def read(container: Container, reading: Reading) -> None:
    """Read the workbook."""
    by_xberg.read(container.body, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", reading)


def read_binary(container: Container, reading: Reading) -> None:
    """Read a binary workbook (.xlsb)."""
    by_xberg.read(container.body, "application/vnd.ms-excel.sheet.binary.macroEnabled.12", reading)
