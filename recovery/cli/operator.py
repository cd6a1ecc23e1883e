"""Who runs this command."""

import getpass
import os


def operator() -> str:
    """user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"
