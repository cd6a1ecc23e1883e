"""Turns errors of export files into usage errors that name the option."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from recovery.operations.records.export_file import ExportFileError
from worker.core.base.text import one_line


@contextmanager
def file_errors(hint: str) -> Iterator[None]:
    """Within this context, an ExportFileError becomes a usage error of the option or argument `hint`."""
    try:
        yield
    except ExportFileError as error:
        raise typer.BadParameter(one_line(str(error)), param_hint=hint) from None
