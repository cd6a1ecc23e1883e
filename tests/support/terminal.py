"""A command on a terminal of its own, as an operator types it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

ROWS = 50


def typed(
    module: str, env: Mapping[str, str], *args: str, folder: Path | None = None, columns: int = 150,
    then: tuple[str, Callable[[str], bytes]] | None = None,
) -> tuple[int, str]:  # fmt: skip
    """Its exit code and what the terminal got, of stdout and stderr alike; `env` is its environment, but for the size.

    `then`: what is typed once this text has been shown, made of all that was shown by then.
    """
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", ROWS, columns, 0, 0))
    whole = {"TERM": "xterm-256color", **env}
    for size in ("COLUMNS", "LINES"):  # those of another terminal would count more than its own
        whole.pop(size, None)
    command = [sys.executable, "-m", module, *args]
    with subprocess.Popen(command, env=whole, cwd=folder, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        said = b""
        with suppress(OSError):  # the other end has closed: it is over
            while part := os.read(controller, 65_536):
                said += part
                if then is not None and then[0].encode() in said:
                    os.write(controller, then[1](said.decode(errors="replace")))
                    then = None
    os.close(controller)
    return process.returncode, said.decode().replace("\r\n", "\n")
