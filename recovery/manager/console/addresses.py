"""The addresses of single dead letters and groups, whatever their names: others have chosen these, and may have forged them.

A browser takes the steps `.` and `..` out of a path, also where they are percent-encoded; such a name stands in the query.
"""

from urllib.parse import quote, urlencode

STEPS = frozenset({".", ".."})
"""What a browser does not leave in a path."""
NO_FINGERPRINT = "-"
"""In the address of a group without one, or with one that cannot stand there."""


def message_path(identity: str, **asked: str) -> str:
    """The path of the page of a dead letter, with these parameters."""
    named = {"id": identity} if identity in STEPS else {}
    path = "/console/messages/" + ("" if named else quote(identity, safe=""))
    wanted = named | asked
    return f"{path}?{urlencode(wanted)}" if wanted else path


def group_path(fingerprint: str, error_type: str, kind: str, **more: str) -> str:
    """The path of the page of a group, with these parameters; `-` stands for a group without a fingerprint."""
    is_plain = fingerprint not in {*STEPS, NO_FINGERPRINT}
    named = {"error_type": error_type, "kind": kind} | ({} if is_plain else {"fingerprint": fingerprint})
    place = quote(fingerprint, safe="") if is_plain and fingerprint else NO_FINGERPRINT
    return f"/console/groups/{place}?{urlencode(named | more)}"
