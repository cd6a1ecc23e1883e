"""Parsers that misbehave: children run one of these in place of the real one."""

import ctypes
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from worker.core.extract import Extracted, seccomp
from worker.core.extract.kinds import Kind


def misbehave(body: bytes, kind: Kind, max_chars: int) -> Extracted:
    """Do what the document says."""
    deed = DEEDS.get(body.removeprefix(b"%PDF-").decode())
    done = deed() if deed else None
    if done == "nonsense":
        return Extracted("thirsty", kind.mime_type)  # type: ignore[arg-type]  # that is what is wrong with it
    if done == "corrupt":
        return Extracted("corrupt", kind.mime_type, error="the container is broken")
    return Extracted("ok", kind.mime_type, f"{os.getpid()} {os.environ['TMPDIR']} {sorted(os.environ)}")


def _hang() -> None:
    while True:
        time.sleep(0.01)


def _nest() -> None:
    for _ in range(2_000):
        os.mkdir("deeper")  # noqa: PTH102
        os.chdir("deeper")
    os.abort()


def _abort() -> None:
    os.write(2, b"memory allocation of 99 bytes failed\n")
    os.abort()


def _panic() -> None:
    raise BaseException("a panic of Rust")  # noqa: TRY002


def _use_all_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1024**2, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _starve() -> None:
    """Fail for want of memory, and report it as a parser's own error."""
    _use_all_memory()
    raise ValueError("invalid document structure")


def _starve_politely() -> str:
    """Fail for want of memory, and return it as the file's own fault."""
    _use_all_memory()
    return "corrupt"


def _fill_the_disk() -> None:
    with Path(os.environ["TMPDIR"], "big").open("wb") as file:
        file.truncate(10**12)


DEEDS: dict[str, Callable[[], object]] = {
    "nest": _nest,
    "hang": _hang,
    "sleep": lambda: time.sleep(0.3),
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "abort for want of memory": _abort,
    "be killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "devour": lambda: bytearray(10 * 1024**4),
    "panic": _panic,
    "starve": _starve,
    "starve politely": _starve_politely,
    "fill the disk": _fill_the_disk,
    "talk nonsense": lambda: "nonsense",
}


_NETWORK = ("socket", "connect", "bind")
_WRITING = ("openat", 2)  # the argument with the flags


def watched(body: bytes, kind: Kind, max_chars: int) -> Extracted:
    """The real parser, in a process that is killed as soon as it asks for a socket, or opens a file for writing."""
    global _is_watched  # noqa: PLW0603
    if not _is_watched:
        _kill_for_network_and_writing()
        _is_watched = True
    if body == b"%PDF-write":
        Path("anything").write_text("words")
    if body == b"%PDF-call":
        socket.socket()
    from worker.core.extract.parse import parse

    return parse(body, kind, max_chars)


_is_watched = False


def _kill_for_network_and_writing() -> None:
    """A second filter: of two, the kernel obeys the stricter one."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(0x7FFF0000)))
    kill = ctypes.c_uint32(0x80000000)
    for name in _NETWORK:
        seccomp._check(library.seccomp_rule_add_array(context, kill, _number(library, name), 0, None))
    name, flags = _WRITING
    for flag in (os.O_WRONLY, os.O_RDWR, os.O_CREAT):
        condition = (seccomp._Condition * 1)(seccomp._Condition(flags, seccomp._MASKED_EQUAL, flag, flag))
        seccomp._check(library.seccomp_rule_add_array(context, kill, _number(library, name), 1, condition))
    seccomp._check(library.seccomp_load(context))


def _number(library: ctypes.CDLL, name: str) -> int:
    return int(library.seccomp_syscall_resolve_name(name.encode()))
