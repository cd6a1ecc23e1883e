"""The child process: it limits and isolates itself, then parses documents until the parent closes the socket."""

import importlib
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

from worker.core.base.jsontypes import JsonObject
from worker.core.base.kernel import PR_SET_PDEATHSIG, prctl
from worker.core.base.reasons import Reason
from worker.core.extract import FAILURES, Extracted, protocol
from worker.core.extract.faults import MachineError
from worker.core.extract.isolation import isolate
from worker.core.extract.kinds import Kind
from worker.core.extract.result import failed

MAX_FILE_BYTES = 256 * 1024**2
"""The largest size of a temporary file."""
SPARE_BYTES = 16 * 1024**2
"""A process that cannot allocate this much after a failure is replaced."""

Parser = Callable[[bytes, Kind, int], Extracted]


def main(socket_number: int, parent: int, memory_bytes: int, max_chars: int, parser: str) -> NoReturn:
    """Serve the parent over an inherited socket until it closes this. `parser` is given as `module:function`."""
    _limit(parent, memory_bytes)
    missing = isolate(Path.cwd())
    sock = socket.socket(fileno=socket_number)
    module, _, name = parser.partition(":")
    parse: Parser = getattr(importlib.import_module(module), name)
    protocol.send(sock, {"ready": True, "missing": missing})
    while True:
        try:
            fields, body = protocol.receive(sock, max_bytes=2**32)
            source = protocol.receive_descriptor(sock) if fields["in_file"] else bytes(body)
        except (EOFError, OSError):
            os._exit(0)  # threads of a parser abort a process that ends in order (measured: 12 of 256 with xberg)
        protocol.send(sock, *_answer(parse, Kind(**fields["kind"]), source, max_chars))


def _limit(parent: int, memory_bytes: int) -> None:
    """Limit memory and file sizes, disable core dumps, and end with the parent. Runs before any parser is loaded."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # systemd and Ctrl-C signal the whole group; the parent says when to end
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
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


def _read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _answer(parse: Parser, kind: Kind, source: bytes | int, max_chars: int) -> tuple[JsonObject, bytes]:
    """Parse one document, given by its bytes or as an open file, and return the answer for the parent, and the text.

    `healthy` says whether this process can be trusted with another document. If the machine is at fault, the answer has
    only a field `machine`, which says what is wrong with the machine; such a process is replaced as well.
    """
    healthy, is_starved = True, False
    try:
        body = source if isinstance(source, bytes) else _read(source)
    except OSError as error:
        return {"machine": str(error)}, b""
    try:
        extracted = parse(body, kind, max_chars)
    except MachineError as error:
        return {"machine": str(error)}, b""
    except BaseException as error:  # noqa: BLE001 (a panic in Rust is not a subclass of Exception)
        healthy, is_starved = isinstance(error, Exception), isinstance(error, MemoryError)
        sentence = f"the parser failed: {type(error).__name__}: {error}"
        extracted = failed("corrupt", kind.mime_type, sentence, Reason.PARSER_FAILED)
    # A parser that gets no memory may report any failure of its own, and may have caught the MemoryError itself.
    if extracted.status in FAILURES and (is_starved or not _has_memory()):
        healthy = False
        sentence = "the file needs more memory than a parser may use"
        extracted = failed("out_of_memory", kind.mime_type, sentence, Reason.OUT_OF_MEMORY)
    # The text travels as UTF-8: in JSON, a Japanese character takes six bytes.
    return {"healthy": healthy, "extracted": asdict(replace(extracted, content=""))}, extracted.content.encode()
