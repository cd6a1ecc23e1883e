"""The child process: limits first, then one document after the other until the parent hangs up."""

import ctypes
import importlib
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.core.extract import Extracted, protocol
from worker.core.extract.faults import MachineError
from worker.core.extract.kinds import Kind
from worker.core.extract.result import failed

MAX_FILE_BYTES = 256 * 1024**2
"""No temporary file may grow beyond."""
_PR_SET_PDEATHSIG = 1

Parser = Callable[[bytes, Kind, int], Extracted]


def main(socket_number: int, parent: int, memory_bytes: int, max_chars: int, parser: str) -> None:
    """Serve the parent over an inherited socket; `parser` is `module:function`."""
    _limit(parent, memory_bytes)
    sock = socket.socket(fileno=socket_number)
    module, _, name = parser.partition(":")
    parse: Parser = getattr(importlib.import_module(module), name)
    protocol.send(sock, {"ready": True})
    while True:
        try:
            fields, body = protocol.receive(sock, max_bytes=2**32)
        except (EOFError, OSError):
            return
        protocol.send(sock, _answer(parse, fields, body, max_chars))


def _limit(parent: int, memory_bytes: int) -> None:
    """Before any parser is loaded: bounds on memory and files, no core dump, and no life after the parent's."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # systemd and ^C signal the whole group; the parent says when to end
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _answer(parse: Parser, fields: dict[str, Any], body: bytes, max_chars: int) -> dict[str, Any]:
    """What became of one document. `healthy`: whether this process may be trusted with another.

    Where the machine is at fault there is no document, but `machine`, what is wrong with it.
    """
    kind = Kind(**fields["kind"])
    healthy = True
    try:
        body = Path(fields["path"]).read_bytes() if fields["path"] else body
    except OSError as error:
        return {"healthy": True, "machine": str(error)}
    try:
        extracted = parse(body, kind, max_chars)
    except MachineError as error:
        return {"healthy": False, "machine": str(error)}
    except MemoryError:
        healthy = False
        extracted = failed("out_of_memory", kind.mime_type, "the file needs more memory than a parser may have")
    except BaseException as error:  # noqa: BLE001 (Rust's panics are no Exception)
        healthy = isinstance(error, Exception)
        extracted = failed("corrupt", kind.mime_type, f"the parser failed: {type(error).__name__}: {error}")
    return {"healthy": healthy, "extracted": asdict(extracted)}
