"""seccomp: the kernel refuses system calls by which this process could affect others, or reach the network.

The filter is made by libseccomp, which systemd itself uses, because it knows every architecture's numbers; no binding of it
on PyPI is well kept (docs/architecture.md, Decisions). Source: seccomp_rule_add(3), seccomp(2).
"""

import ctypes
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass

from worker.core.base.kernel import PR_SET_DUMPABLE, PR_SET_PDEATHSIG

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NOT_EQUAL, _MASKED_EQUAL = 1, 7
_UNKNOWN = -1
"""What libseccomp answers for the name of a system call that is newer than itself."""
_INT = 0xFFFFFFFF
"""The kernel reads 32 bits of an int: a filter that compared 64 could be evaded by setting one of the others."""
_CLONE_THREAD = 0x00010000
_AF_UNIX = 1
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15
_FIOSETOWN, _SIOCSPGRP, _TIOCSTI = 0x8901, 0x8902, 0x5412

FORBIDDEN = {
    "network": "socket connect bind listen accept accept4",
    "calls that evade this filter": "io_uring_setup io_uring_enter io_uring_register",
    "memory and descriptors of other processes": "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_open "
    "pidfd_getfd process_mrelease move_pages migrate_pages",
    "signals to other processes": "tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
    "priority and limits of other processes": "setpriority ioprio_set sched_setaffinity sched_setattr sched_setparam "
    "sched_setscheduler",
    "memory shared with other processes": "shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl "
    "mq_open mq_unlink",
    "programs and processes, which would outlive a kill": "execve execveat fork vfork",
    "what Landlock leaves open for files": "truncate chmod fchmodat fchmodat2 chown lchown fchownat setxattr "
    "lsetxattr removexattr lremovexattr utime utimes futimesat utimensat",
    "namespaces and mounts": "unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount "
    "fspick mount_setattr name_to_handle_at open_by_handle_at",
    "parts of the kernel that no parser needs": "bpf perf_event_open userfaultfd fanotify_init keyctl add_key request_key "
    "init_module finit_module delete_module kexec_load kexec_file_load quotactl swapon swapoff reboot",
}
"""System calls that fail with EPERM, whatever their arguments are."""


class _Condition(ctypes.Structure):
    """`struct scmp_arg_cmp`: argument, comparison, and its operands."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class _Rule:
    """What becomes of a system call, if the condition holds."""

    name: str
    error: int = errno.EPERM
    when: tuple[int, int, int, int] | None = None
    """Number of the argument, comparison, operands."""


def _rules() -> Iterator[_Rule]:
    for names in FORBIDDEN.values():
        yield from (_Rule(name) for name in names.split())
    for name in ("kill", "tgkill"):  # abort() sends itself a signal
        yield _Rule(name, when=(0, _NOT_EQUAL, os.getpid(), 0))
    yield _Rule("prlimit64", when=(0, _NOT_EQUAL, 0, 0))  # 0 is this process
    yield _Rule("clone", when=(0, _MASKED_EQUAL, _CLONE_THREAD, 0))  # threads only
    yield _Rule("clone3", errno.ENOSYS)  # a filter cannot see its flags; C libraries use clone where it is missing
    # tokio, in xberg, makes a pair of streams. A pair of datagram sockets could send to any path.
    yield _Rule("socketpair", when=(0, _NOT_EQUAL, _AF_UNIX, 0))
    for bit, wrong in ((1, 0), (2, 2), (4, 4), (8, 8)):  # the type is 0001, SOCK_STREAM
        yield _Rule("socketpair", when=(1, _MASKED_EQUAL, bit, wrong))
    for option in (PR_SET_PDEATHSIG, PR_SET_DUMPABLE):  # they stay as they are
        yield _Rule("prctl", when=(0, _MASKED_EQUAL, _INT, option))
    for command in (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX):  # the kernel would send signals on its behalf
        yield _Rule("fcntl", when=(1, _MASKED_EQUAL, _INT, command))
    for request in (_FIOSETOWN, _SIOCSPGRP, _TIOCSTI):
        yield _Rule("ioctl", when=(1, _MASKED_EQUAL, _INT, request))


def restrict() -> bool:
    """Install the filter in this thread and all that it starts, irrevocably; PR_SET_NO_NEW_PRIVS is set, too.

    Returns False if libseccomp is not installed; raises OSError if the filter cannot be made or the kernel refuses it.
    """
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return False
    library.seccomp_init.restype = ctypes.c_void_p
    address = library.seccomp_init(ctypes.c_uint32(_ALLOW))
    if not address:
        raise OSError(errno.ENOMEM, "no filter of system calls could be made")
    context = ctypes.c_void_p(address)
    try:
        for rule in _rules():
            _add(library, context, rule)
        _check(library.seccomp_load(context))
    finally:
        library.seccomp_release(context)
    return True


def _add(library: ctypes.CDLL, context: ctypes.c_void_p, rule: _Rule) -> None:
    number = library.seccomp_syscall_resolve_name(rule.name.encode())
    if number == _UNKNOWN:
        return
    conditions = [_Condition(*rule.when)] if rule.when else []
    array = (_Condition * len(conditions))(*conditions)
    action = ctypes.c_uint32(_ERRNO | rule.error)
    _check(library.seccomp_rule_add_array(context, action, number, len(conditions), array))


def _check(result: int) -> None:
    """Functions of libseccomp return a negated error number."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
