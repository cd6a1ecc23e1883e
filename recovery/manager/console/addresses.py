"""The addresses of single dead letters, whatever their names: others have chosen these, and may have forged them.

A browser takes the steps `.` and `..` out of a path, also where they are percent-encoded; such a name stands in the query.
"""

from urllib.parse import quote, urlencode

STEPS = frozenset({".", ".."})
"""What a browser does not leave in a path."""


def message_path(identity: str, **asked: str) -> str:
    """The path of the page of a dead letter, with these parameters."""
    named = {"id": identity} if identity in STEPS else {}
    path = "/console/messages/" + ("" if named else quote(identity, safe=""))
    wanted = named | asked
    return f"{path}?{urlencode(wanted)}" if wanted else path
