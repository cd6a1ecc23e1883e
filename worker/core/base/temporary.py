"""Names of temporary files and folders: each holds the id of its process, so that what a killed one left is found."""

import os

LEFT_BEHIND = "s3iw-*-*"
"""A pattern for all of them; the part between the hyphens is the id of the process."""


def prefix() -> str:
    """How the name of each of this process's begins."""
    return f"s3iw-{os.getpid()}-"
