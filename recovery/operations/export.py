"""`export`: write dead letters to a new file, with all attributes and a checksum. Nothing is deleted."""

from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.find import Found
from recovery.operations.records import export_file
from recovery.operations.records.export_file import Seal
from recovery.operations.records.operator_file import OperatorFile
from worker.core.audit import Run


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Where to write the dead letters."""

    run: Run
    file: OperatorFile


def export(clients: DlqClients, request: ExportRequest, found: Found) -> Seal:
    """Write the dead letters to a new file and verify it. Raises ExportFileError; a file that cannot be written is removed."""
    return export_file.write_verified(
        request.file, found.dead_letters, queue=clients.dlq.url, by=request.run.by
    )  # fmt: skip
