"""The addresses of dead letters and of their groups, whatever their names: others have chosen these, and may have forged them.

A browser takes the steps `.` and `..` out of a path, also where they are percent-encoded; such a name stands in the query.
"""

from urllib.parse import quote, urlencode

from recovery.ledger.rows import Row
from recovery.manager.known_groups import path_of

STEPS = frozenset({".", ".."})
"""What a browser does not leave in a path."""


def message_path(identity: str, **asked: str) -> str:
    """The path of the page of a dead letter, with these parameters."""
    named = {"id": identity} if identity in STEPS else {}
    path = "/console/messages/" + ("" if named else quote(identity, safe=""))
    wanted = named | asked
    return f"{path}?{urlencode(wanted)}" if wanted else path


def group_path(row: Row) -> str:
    """The path of the page of the group that a dead letter is in."""
    return path_of((row.fingerprint, row.error_type, row.kind.value))
