"""What a parser that a hostile file has taken over can still reach: nothing but its own folder, memory and processor time.

The network, other processes and their memory, other files and programs are out of its reach by seccomp and Landlock. Where
the machine lacks one of them, parsers run without it, and `doctor` and the preflight check say so.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from worker.core.base.kernel import PR_SET_NO_NEW_PRIVS, forbid_inspection, prctl
from worker.core.extract import landlock, seccomp

NO_SECCOMP = "parsers can use the network and signal other processes, because seccomp is missing"
NO_LANDLOCK = "parsers can read every file that the worker can read, because Landlock is missing"
PROBE_TIMEOUT_S = 60.0
_LIBRARIES = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom")
"""What parsers open while they work, apart from Python and its packages: libraries, time zones, random numbers."""
_PROBE = """
import json, pathlib, sys
sys.path[:] = {path!r}
from worker.core.extract.isolation import isolate
print(json.dumps(isolate(pathlib.Path.cwd())))
"""


def isolate(folder: Path) -> list[str]:
    """Isolate this process for good, except from `folder`; return a sentence for each protection that is missing."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    forbid_inspection()
    missing = []
    if not _is_done(seccomp.restrict):
        missing.append(NO_SECCOMP)
    if not _is_done(lambda: landlock.restrict(_readable(), folder)):
        missing.append(NO_LANDLOCK)
    return missing


def probe(folder: Path) -> list[str]:
    """Isolate a process that only exists for this; return what `isolate` returned there.

    Raises OSError if that process cannot be started, or fails.
    """
    command = [sys.executable, "-I", "-c", _PROBE.format(path=sys.path)]
    try:
        done = subprocess.run(command, env={}, cwd=folder, capture_output=True, check=True, timeout=PROBE_TIMEOUT_S)  # noqa: S603
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or b""
        raise OSError(said.decode("utf-8", "replace").strip()[-500:] or str(error)) from error
    missing: list[str] = json.loads(done.stdout)
    return missing


def _readable() -> list[str]:
    return [*_LIBRARIES, sys.prefix, sys.base_prefix, *filter(None, sys.path)]


def _is_done(restrict: Callable[[], bool]) -> bool:
    """Whether the kernel has done it: one that refuses, such as a container's, is treated like one that cannot."""
    try:
        return restrict()
    except OSError:
        return False
