"""The child process: it sets its limits, then parses one document after another until the parent closes the socket."""

import ctypes
import importlib
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from worker.core.base.jsontypes import JsonObject
from worker.core.extract import FAILURES, Extracted, protocol
from worker.core.extract.faults import MachineError
from worker.core.extract.kinds import Kind
from worker.core.extract.result import failed

MAX_FILE_BYTES = 256 * 1024**2
"""The largest size of a temporary file."""
SPARE_BYTES = 16 * 1024**2
"""A process that cannot allocate this much after a failure is replaced."""
_PR_SET_PDEATHSIG = 1

Parser = Callable[[bytes, Kind, int], Extracted]


def main(socket_number: int, parent: int, memory_bytes: int, max_chars: int, parser: str) -> None:
    """Serve the parent over an inherited socket. `parser` is given as `module:function`."""
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
    """Limit memory and file sizes, disable core dumps, and end with the parent. Runs before any parser is loaded."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # systemd and Ctrl-C signal the whole group; the parent says when to end
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before the line above took effect
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _has_memory() -> bool:
    """Whether this process can still allocate what any document needs."""
    try:
        bytearray(SPARE_BYTES)
    except MemoryError:
        return False
    return True


def _answer(parse: Parser, fields: JsonObject, body: bytes, max_chars: int) -> JsonObject:
    """Parse one document and return the answer for the parent.

    `healthy` says whether this process can be trusted with another document. If the machine is at fault, the answer has
    only a field `machine`, which says what is wrong with the machine; such a process is replaced as well.
    """
    kind = Kind(**fields["kind"])
    healthy, is_starved = True, False
    try:
        body = Path(fields["path"]).read_bytes() if fields["path"] else body
    except OSError as error:
        return {"machine": str(error)}
    try:
        extracted = parse(body, kind, max_chars)
    except MachineError as error:
        return {"machine": str(error)}
    except BaseException as error:  # noqa: BLE001 (a panic in Rust is not a subclass of Exception)
        healthy, is_starved = isinstance(error, Exception), isinstance(error, MemoryError)
        extracted = failed("corrupt", kind.mime_type, f"the parser failed: {type(error).__name__}: {error}")
    # A parser that gets no memory may report any failure of its own, and may have caught the MemoryError itself.
    if extracted.status in FAILURES and (is_starved or not _has_memory()):
        healthy = False
        extracted = failed("out_of_memory", kind.mime_type, "the file needs more memory than a parser may use")
    return {"healthy": healthy, "extracted": asdict(extracted)}
