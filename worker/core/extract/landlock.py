"""Landlock: this process may only open the files that it is given; also no TCP, and no signal to another process.

Source: https://docs.kernel.org/userspace-api/landlock.html. The C library has no functions for these three system calls,
and no binding on PyPI is well kept (docs/architecture.md, Decisions), so they are made by number.
"""

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from worker.core.base.kernel import last_error, libc

# The numbers are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _REFER, _TRUNCATE = 1 << 7, 1 << 8, 1 << 13, 1 << 14
_READ = _READ_FILE | _READ_DIR
_READ_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER
_OF_FILES = _WRITE_FILE | _READ_FILE | _TRUNCATE
"""The rights that a rule for a file may name; the others concern the content of a folder."""
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many of the rights exist, by version. All that exist are handled: what no rule allows is forbidden."""
_NO_TCP = 0b11
"""Neither bind nor connect, from version 4."""
_NO_SIGNALS_NO_ABSTRACT_SOCKETS = 0b11
"""From version 6: only processes that are at least as restricted can be sent a signal or be connected to."""


def version() -> int:
    """The kernel's version of Landlock; 0 where it has none, has not enabled it, or forbids it to this process."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return _call(_CREATE_RULESET, 0, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict(readable: Iterable[str | Path], writable: Path) -> bool:
    """Forbid this thread and all that it starts everything but reading `readable` and using the folder `writable`.

    Programs can be started from nowhere. Files that are open already can still be used. Requires PR_SET_NO_NEW_PRIVS.
    Returns False if the kernel has no Landlock; raises OSError if it refuses.
    """
    known = version()
    if not known:
        return False
    handled = (1 << _FILE_RIGHTS[min(known, max(_FILE_RIGHTS))]) - 1
    fields = handled, _NO_TCP if known >= 4 else 0, _NO_SIGNALS_NO_ABSTRACT_SOCKETS if known >= 6 else 0
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", *fields))  # older kernels take trailing zeros
    ruleset = _call(_CREATE_RULESET, ctypes.addressof(attributes), struct.calcsize("=QQQ"), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ & handled)
        _allow(ruleset, writable, _READ_WRITE & handled)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: str | Path, rights: int) -> None:
    """Allow these rights for a file, or for everything beneath a folder; what does not exist needs no rule."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor))
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.addressof(rule), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: int) -> int:
    result: int = libc.syscall(*map(ctypes.c_long, (number, *arguments)))
    if result < 0:
        raise last_error()
    return result
