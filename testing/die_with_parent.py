"""Run a command that the kernel kills when its parent dies: `die_with_parent.py PARENT_PID COMMAND…`.

A launcher, because the two other ways fail: an atexit hook does not run when pytest dies by SIGKILL, and Popen's
preexec_fn may deadlock in a process with threads (Python 3.12 warns of it, and warnings are errors here). The request
survives exec, so the server keeps the launcher's process id and its fate.
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
    if os.getppid() != parent_pid:  # it died before the request, so no signal would ever come
        sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
