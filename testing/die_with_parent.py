"""Run a command that the kernel kills when its parent dies: `die_with_parent.py PARENT_PID COMMAND…`.

This is a separate program because the two alternatives fail: an atexit hook does not run when pytest is killed by
SIGKILL, and Popen's preexec_fn may deadlock in a process with threads (Python 3.12 warns about it, and warnings are
errors here). The request to the kernel survives exec, so it applies to the server, which keeps the launcher's process id.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent_pid: int, command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # the parent died before the request, so no signal would ever be sent
        sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
