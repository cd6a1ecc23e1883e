"""On an installed host, opens the files that the caller of a command named.

There, a command runs as the worker's user, in the worker's sandbox, from which the caller's files cannot be reached. So
`run-as-unit` starts this program as the caller. It starts the command, and performs for it the actions on the files that
are named on the command line: with the caller's rights, and relative to the caller's folder. An open descriptor is sent
through a socket, and can be used inside the sandbox.
"""

import errno
import json
import os
import pwd
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from recovery.operations.records.operator_file import NO_DESCRIPTOR, FileAction, OperatorFile, perform

STREAM = "-"
"""In place of a file: stdin or stdout."""
STDOUT = Path("/proc/self/fd/1")
"""What the caller's shell redirected; opening it again requires the caller's rights."""
ADDRESS = "CALLER_FILES"
"""The environment variable with the name of the socket, which is in the abstract namespace (unix(7))."""
UNIT = "s3-index-worker.service"
MAX_MESSAGE = 64 * 1024
"""Bytes of a request or reply; a path has at most 4,096 bytes (PATH_MAX), each at most 6 bytes of JSON."""
ANSWER_S = 60.0
"""Seconds within which the caller's side must have performed an action: a disk may be slow."""
_CREDENTIALS = struct.Struct("3i")
"""`struct ucred` (unix(7)): process, user and group of the other side."""


# -- the command's side ------------------------------------------------------------------------------------------------


def caller_file(given: str) -> OperatorFile | None:
    """The file that the caller named; None if this command was not started by `run-as-unit`. Raises OSError."""
    address = os.environ.get(ADDRESS)
    if address is None:
        return None
    if not address:
        raise PermissionError(errno.EACCES, "on an installed host, a file must be named on the command line", given)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(ANSWER_S)
    connection.connect(f"\0{address}")
    connection.sendall(json.dumps(given).encode())
    message = connection.recv(MAX_MESSAGE)
    if not message:
        raise ConnectionError(f"{given}: the program that opens the caller's files refuses it")
    return OperatorFile(json.loads(message)["name"], partial(_ask, connection))


def _ask(connection: socket.socket, action: FileAction) -> int:
    """Let the caller's side perform an action. Raises OSError as if it had been performed here."""
    connection.sendall(json.dumps(action).encode())
    message, handles, _, _ = socket.recv_fds(connection, MAX_MESSAGE, 1)
    if not message:
        raise ConnectionError("the program that opens the caller's files has ended")
    answer = json.loads(message)
    if "errno" in answer:
        raise OSError(answer["errno"], answer["reason"])
    return handles[0] if handles else NO_DESCRIPTOR


# -- the caller's side -------------------------------------------------------------------------------------------------


def main() -> None:
    """Run the command in `sys.argv`, told where it reaches this program, and pass on its exit code and signals."""
    program, *arguments = sys.argv[1:]
    address = f"s3-index-worker-{secrets.token_hex(16)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"\0{address}")
        listener.listen()
        signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        process = subprocess.Popen(  # noqa: S603 (what `run-as-unit` was called with)
            [program, f"--caller-files={address}", *arguments],
            preexec_fn=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, signals),  # noqa: PLW1509 (no thread yet)
        )
        threading.Thread(target=_serve, args=(listener, arguments), daemon=True).start()
        while process.poll() is None:
            told = signal.sigwaitinfo(signals)
            if told.si_pid and told.si_signo != signal.SIGCHLD:  # a terminal's signals reach the command by themselves
                process.send_signal(told.si_signo)
    sys.exit(process.returncode if process.returncode >= 0 else 128 - process.returncode)


def _serve(listener: socket.socket, arguments: Sequence[str]) -> None:
    allowed = {0, os.getuid(), *_user_of_the_unit()}
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve_one, args=(connection, allowed, arguments), daemon=True).start()


def _serve_one(connection: socket.socket, allowed: set[int], arguments: Sequence[str]) -> None:
    with connection, suppress(OSError, ValueError):  # of a command that ended, or was taken over
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(credentials)
        given = json.loads(connection.recv(MAX_MESSAGE))
        if user in allowed and any(argument == given or argument.endswith(f"={given}") for argument in arguments):
            _serve_file(connection, STDOUT if given == STREAM else Path(given).absolute())


def _serve_file(connection: socket.socket, path: Path) -> None:
    connection.sendall(json.dumps({"name": str(path)}).encode())
    is_created = False
    while message := connection.recv(MAX_MESSAGE):
        action = FileAction(json.loads(message))
        answer, handles = {}, []
        try:
            if action is FileAction.REMOVE and not is_created:
                raise PermissionError(errno.EACCES, "only a file that was created here is removed")
            handle = perform(action, path)
            is_created |= action is FileAction.CREATE
            handles = [] if handle == NO_DESCRIPTOR else [handle]
        except OSError as error:
            answer = {"errno": error.errno, "reason": error.strerror or str(error)}
        socket.send_fds(connection, [json.dumps(answer).encode()], handles)
        for handle in handles:
            os.close(handle)


def _user_of_the_unit() -> list[int]:
    """The user id; none if the unit or its user does not exist."""
    show = ["systemctl", "show", "--property=User", "--value", UNIT]
    try:
        name = subprocess.run(show, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 (constants)
        return [pwd.getpwnam(name).pw_uid]
    except (OSError, KeyError):
        return []


if __name__ == "__main__":
    main()
