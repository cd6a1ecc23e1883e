"""Identifies the operator."""

import getpass
import os


def operator() -> str:
    """Return the operator as `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container, the user may have no name
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"
