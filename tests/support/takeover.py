"""A worker and a parser that was taken over: what the parser tries, by name, and what becomes of each attempt.

`python -m tests.support.takeover FOLDER` plays both and prints the results as JSON: those of an ordinary process that the
worker has started (`bare`), which show that each attempt would succeed otherwise; those of a parser; and those of another
ordinary process (`later`), for which the worker is closed, but nothing else.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker.core.extract import Extracted, children
from worker.core.extract.kinds import Kind, kind_of

SECRET = b"the worker's own secret"
IMDS = "169.254.169.254"
"""The address of EC2's metadata service, which gives credentials to whoever asks."""
LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, CLONE_NEWUSER, IO_URING_SETUP, PIDFD_GETFD = 0x4206, 0x10000000, 425, 438
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
INSPECTION = (
    "read its environment", "open one of its descriptors", "read its memory in /proc", "read its memory by a system call",
    "trace it", "take one of its descriptors",
)  # fmt: skip
"""What PR_SET_DUMPABLE forbids. Yama forbids an ordinary process all but the first two, where it is active."""
DEPENDS = {*INSPECTION[2:], "enter a namespace", "use io_uring", "signal every process"}
"""Attempts that some machines forbid an ordinary process too."""

Target = dict[str, Any]


def attack(body: bytes, kind: Kind, _max_chars: int) -> Extracted:
    """Try everything; a parser's function, whose document says where to look."""
    target = json.loads(body)
    results = {
        "attempts": {name: _tried(attempt, target) for name, attempt in ATTEMPTS.items()},
        "descriptors": _descriptors(),
        "environment": sorted(os.environ),
        "own folder": _tried(_use_own_folder, target),
    }
    return Extracted("ok", kind.mime_type, json.dumps(results))


def _tried(attempt: Callable[[Target], object], target: Target) -> str:
    try:
        attempt(target)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "done"


def _descriptors() -> list[str]:
    """What is open apart from stdin, stdout and stderr. /proc is not asked: it may be out of reach."""
    found = []
    for number in range(3, 256):
        with contextlib.suppress(OSError):
            found.append("socket" if stat.S_ISSOCK(os.fstat(number).st_mode) else "other")
    return found


def _use_own_folder(_: Target) -> None:
    path = Path(os.environ["TMPDIR"], "own")
    path.write_bytes(b"x")
    path.rename(path.with_name("renamed"))
    path.with_name("renamed").unlink()


def _call(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


# -- the worker's process, and another parser's ----------------------------------------------------------------------


def _open(path: str) -> None:
    with Path(path).open("rb"):
        pass


def _read_memory_in_proc(pid: int, address: int) -> None:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        assert memory.read(len(SECRET)) == SECRET


def _read_memory_by_call(target: Target) -> None:
    class Part(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    buffer = ctypes.create_string_buffer(len(SECRET))
    here, there = Part(ctypes.addressof(buffer), len(SECRET)), Part(target["address"], len(SECRET))
    _call(LIBC.process_vm_readv(target["worker"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
    assert buffer.raw == SECRET


def _signal_by_descriptor(target: Target) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fcntl.fcntl(ours, fcntl.F_SETOWN, target["worker"])


def _take_descriptor(target: Target) -> None:
    process = os.pidfd_open(target["worker"])
    _call(LIBC.syscall(*map(ctypes.c_long, (PIDFD_GETFD, process, target["descriptor"], 0))))


# -- files -----------------------------------------------------------------------------------------------------------


def _list(folder: str) -> None:
    list(Path(folder).iterdir())


def _write_beside(target: Target) -> None:
    Path(target["folder"], f"written by {os.getpid()}").write_bytes(b"x")


def _truncate(target: Target) -> None:
    os.truncate(target["decoy"], 1)


def _append(target: Target) -> None:
    with Path(target["decoy"]).open("ab") as file:
        file.write(b"x")


def _link(target: Target) -> None:
    os.link(target["secret"], Path(os.environ["TMPDIR"], "linked"))


# -- network and programs --------------------------------------------------------------------------------------------


def _connect(address: str, port: int) -> None:
    socket.create_connection((address, port), timeout=0.3).close()


def _connect_unix(target: Target) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(target["socket"])


def _send_to_unix(target: Target) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.sendto(b"READY=1", target["notify"])


def _use_io_uring(_: Target) -> None:
    parameters = ctypes.create_string_buffer(120)
    _call(LIBC.syscall(ctypes.c_long(IO_URING_SETUP), ctypes.c_long(1), parameters))


def _fork(_: Target) -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


ATTEMPTS: dict[str, Callable[[Target], object]] = {
    "read its environment": lambda target: Path(f"/proc/{target['worker']}/environ").read_bytes(),
    "read its memory in /proc": lambda target: _read_memory_in_proc(target["worker"], target["address"]),
    "read its memory by a system call": _read_memory_by_call,
    "trace it": lambda target: _call(LIBC.ptrace(PTRACE_SEIZE, target["worker"], None, None)),
    "open one of its descriptors": lambda target: _open(f"/proc/{target['worker']}/fd/{target['descriptor']}"),
    "take one of its descriptors": _take_descriptor,
    "send it a signal": lambda target: os.kill(target["worker"], signal.SIGURG),
    "have a signal sent to it": _signal_by_descriptor,
    "signal every process": lambda _: os.kill(-1, 0),
    "change its limits": lambda target: resource.prlimit(target["worker"], resource.RLIMIT_CORE, (0, 0)),
    "change its priority": lambda target: os.setpriority(os.PRIO_PROCESS, target["worker"], 1),
    "read another parser's memory": lambda target: _open(f"/proc/{target['other']}/mem"),
    "send another parser a signal": lambda target: os.kill(target["other"], signal.SIGURG),
    "list another parser's folder": lambda target: _list(target["other folder"]),
    "become visible to tracing": lambda _: _call(LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)),
    "outlive the worker": lambda _: _call(LIBC.prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)),
    "read a file of its user": lambda target: Path(target["secret"]).read_bytes(),
    "change the mode of a file of its user": lambda target: Path(target["secret"]).chmod(0o666),
    "read ~/.aws/credentials": lambda target: Path(target[".aws/credentials"]).read_bytes(),
    "read a file in /etc": lambda _: Path("/etc/passwd").read_bytes(),
    "read a file in /proc": lambda _: Path("/proc/self/status").read_bytes(),
    "list the temporary folder": lambda target: _list(target["folder"]),
    "write a file of its own elsewhere": _write_beside,
    "change a file": _append,
    "cut a file": _truncate,
    "date a file": lambda target: os.utime(target["decoy"]),
    "rename a file": lambda target: Path(target["decoy"]).rename(target["decoy"] + "."),
    "link a file into its folder": _link,
    "remove a file": lambda target: Path(target["doomed"]).unlink(),
    "connect to this machine": lambda target: _connect("127.0.0.1", target["port"]),
    "connect to IMDS": lambda _: _connect(IMDS, 80),
    "look up a name": lambda _: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "connect to a Unix socket": _connect_unix,
    "send to a Unix socket": _send_to_unix,
    "use io_uring": _use_io_uring,
    "start a program": lambda _: subprocess.run(["/bin/true"], check=True),
    "become a program": lambda _: os.execv("/no/such/program", ["program"]),
    "make a copy of itself": _fork,
    "enter a namespace": lambda _: _call(LIBC.unshare(CLONE_NEWUSER)),
}
"""Each fails with an OSError if it is refused. "Its" means the worker's."""


# -- the worker ------------------------------------------------------------------------------------------------------


def main(folder: Path) -> None:
    """Play the worker: put everything in place, then have it attacked by a bare process and by a parser."""
    secret = folder / "secret"
    listener, unix, notify = (
        socket.create_server(("127.0.0.1", 0)),
        socket.socket(socket.AF_UNIX),
        _notify_socket(folder),
    )
    unix.bind(str(folder / "socket"))
    unix.listen()
    _put_files(folder)
    with listener, unix, notify, secret.open("rb") as opened:
        os.set_inheritable(opened.fileno(), True)
        target = {
            "worker": os.getpid(), "address": id(SECRET) + bytes.__basicsize__ - 1,  # where a bytes object has its bytes
            "descriptor": opened.fileno(), "port": listener.getsockname()[1], "folder": str(folder),
            **{name: str(folder / name) for name in ("secret", ".aws/credentials", "decoy", "doomed", "socket", "notify")},
        }  # fmt: skip
        results = {"bare": _attack_barely(target, folder)}
        before = _put_files(folder)
        results["parser"] = _attack_by_parser(target, folder)
        results["parser"]["unchanged"] = _state(folder) == before
        results["later"] = _attack_barely(target, folder)
    print(json.dumps(results))


def _put_files(folder: Path) -> dict[str, tuple[int, int]]:
    (folder / ".aws").mkdir(exist_ok=True)
    for name in ("secret", ".aws/credentials", "decoy", "doomed"):
        (folder / name).write_bytes(SECRET)
        (folder / name).chmod(0o600)
    for name in ("decoy.", "linked"):  # what an attack that succeeded has left
        (folder / name).unlink(missing_ok=True)
    return _state(folder)


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """Mode and time of every file that an attack wants to change."""
    files = [path for path in folder.iterdir() if path.name in {"secret", "decoy", "doomed"}]
    return {path.name: (path.stat().st_mode, path.stat().st_mtime_ns) for path in files}


def _notify_socket(folder: Path) -> socket.socket:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(folder / "notify"))
    return notify


def _attack_barely(target: Target, folder: Path) -> dict[str, Any]:
    """The results of an ordinary process, which has inherited what can be inherited."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from tests.support import takeover; from worker.core.extract.kinds import Kind; "
        "print(takeover.attack(sys.stdin.buffer.read(), takeover.PDF, 0).content)"
    )
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        body = json.dumps({**target, "other": other.pid, "other folder": str(folder)}).encode()
        environment = {**os.environ, "TMPDIR": str(folder)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, input=body, stdout=subprocess.PIPE, close_fds=False, env=environment, check=True)
        other.kill()
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def _attack_by_parser(target: Target, folder: Path) -> dict[str, Any]:
    """The results of a parser, whose document is handed over as a file."""
    children.PARSER = "tests.support.takeover:attack"
    limits = children.Limits(timeout_s=30, memory_bytes=2 * 1024**3, max_chars=100_000, temp_dir=folder)
    pool = children.Children(limits, processes=1)  # closes this process to inspection
    other, child = children.Child(limits), children.Child(limits)
    try:
        body = {**target, "other": other.pid, "other folder": str(other._folder)}
        (folder / "document").write_text(json.dumps(body))
        results: dict[str, Any] = json.loads(child.ask(folder / "document", PDF)[0].content)
        results["missing"] = child.missing
    finally:
        child.end()
        other.end()
        pool.close()
    return results


PDF = kind_of(b"%PDF-", "a.pdf", None)

if __name__ == "__main__":
    main(Path(sys.argv[1]))
