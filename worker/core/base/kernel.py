"""What a process asks the kernel and the C library to do for itself. Elsewhere than on Linux, nothing is done."""

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

M_MMAP_THRESHOLD = -3
LARGE_BLOCK_BYTES = 1024 * 1024

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Set an option of this process, by its number in <linux/prctl.h>. Raises OSError if the kernel refuses."""
    if hasattr(libc, "prctl") and libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))):
        raise last_error()


def last_error() -> OSError:
    """The error that the last call of `libc` left."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def forbid_inspection() -> None:
    """Close this process to all others without CAP_SYS_PTRACE, even to those of the same user.

    This concerns ptrace(2), and its memory, environment and descriptors in /proc. Debuggers and profilers of the same user
    cannot attach any longer. An execve(2) takes it back. Source: PR_SET_DUMPABLE in prctl(2), proc(5).
    """
    prctl(PR_SET_DUMPABLE, 0)


def give_back_large_blocks() -> None:
    """Have the C library give the memory of a large block back to the kernel as soon as it is freed.

    Otherwise it raises the size from which it does so, up to 32 MiB, to that of the largest block that was freed, and keeps
    the blocks below. Source: mallopt(3), M_MMAP_THRESHOLD.
    """
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
