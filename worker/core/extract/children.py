"""The child processes that parse documents: started when first needed, killed at their time limit, replaced one by one.

Why not pebble's pool: its children share one pipe and that pipe's locks. We measured with pebble 5.2 that the death of
an idle child breaks the whole pool, and that a child that ignores SIGTERM is killed only 3 s after its time limit, while
all the others wait. Here each child has its own socket, so a failing child affects only the document that it is parsing.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import get_args

from worker.core.base import temporary
from worker.core.base.concurrency import full_pool
from worker.core.base.errors import ExtractionStoppedError
from worker.core.base.events import LogEvent
from worker.core.base.jsontypes import JsonObject
from worker.core.base.kernel import forbid_inspection
from worker.core.base.logs import emit
from worker.core.base.reasons import Reason
from worker.core.extract import Extracted, Status, protocol
from worker.core.extract.faults import NO_MEMORY, MachineError
from worker.core.extract.kinds import Kind

PARSER = "worker.core.extract.parse:parse"
START_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 4.0
MAX_DOCUMENTS = 5000
"""A child is replaced after this many documents, because parsers in C and Rust may leak memory (measured: a growth from
67 to 69 MB in 5,500 documents)."""
_ROOM_BYTES = 64 * 1024
"""The part of an answer that is reserved for everything except the content."""
_BOOT = "import sys; sys.path[:] = {path!r}; from worker.core.extract.child import main; main{arguments!r}"


class ChildDiedError(Exception):
    """Raised when a child died while it was parsing a document."""

    def __init__(self, how: str, *, killed: bool = False, last_words: str = "") -> None:
        super().__init__(f"the parser was ended by {how}")
        self.killed = killed
        """Whether it was killed from outside: by the kernel, which was short of memory, or by a person."""
        self.out_of_memory = any(words in last_words for words in NO_MEMORY)


@dataclass(frozen=True, slots=True)
class Limits:
    """The resources that one child may use."""

    timeout_s: float
    memory_bytes: int
    max_chars: int
    temp_dir: Path


class Child:
    """One process, its socket and its folder. Only one thread may use it at a time; `kill` may be called from any."""

    def __init__(self, limits: Limits) -> None:
        """Start the process and wait until it is ready. Raises OSError if it cannot be started."""
        self._limits = limits
        self._folder = Path(tempfile.mkdtemp(prefix=temporary.prefix(), dir=limits.temp_dir))
        self.documents = 0
        try:
            self._sock, theirs = socket.socketpair()
        except (OSError, MemoryError):  # no file descriptors or no memory left
            self._folder.rmdir()
            raise
        try:
            with theirs:
                # It has no name: a child that was taken over could put a pipe or a link in its place.
                self._words = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (closed by `end`)
                self._process = _spawn(theirs.fileno(), self._words.fileno(), self._folder, limits)
            ready, _ = protocol.receive(self._sock, max_bytes=_ROOM_BYTES, until=time.monotonic() + START_TIMEOUT_S)
            self.missing: list[str] = ready["missing"]
            """What does not isolate it: sentences."""
        except (EOFError, OSError, ValueError) as error:
            reason = self._last_words() or str(error)
            self.end()
            raise OSError(f"a parser process could not be started: {reason[-500:]}") from error
        except MemoryError:  # in this process, not in the child
            self.end()
            raise

    def ask(self, body: bytes | Path, kind: Kind) -> tuple[Extracted, bool]:
        """Have the document parsed; return the result and whether the child can be used again.

        Raises TimeoutError, ChildDiedError, MachineError, and OSError if the file cannot be opened.
        """
        if isinstance(body, bytes):
            return self._ask(body, None, kind)
        with body.open("rb") as file:
            return self._ask(b"", file.fileno(), kind)

    def _ask(self, body: bytes, descriptor: int | None, kind: Kind) -> tuple[Extracted, bool]:
        self.documents += 1
        until = time.monotonic() + self._limits.timeout_s
        fields = {"kind": asdict(kind), "in_file": descriptor is not None}
        max_bytes = 4 * self._limits.max_chars + _ROOM_BYTES  # in UTF-8, a character takes at most four bytes
        try:
            protocol.send(self._sock, fields, body, until=until)
            if descriptor is not None:
                protocol.send_descriptor(self._sock, descriptor, until=until)
            answer, text = protocol.receive(self._sock, max_bytes=max_bytes, until=until)
            return _checked(answer, text), bool(answer["healthy"])
        except (TimeoutError, MachineError):
            raise
        except (EOFError, OSError) as error:
            self.kill()  # no effect if it is dead already; but a hostile child may only have closed the socket
            code = self._process.wait()
            words = self._last_words()
            raise ChildDiedError(_name(code), killed=code == -signal.SIGKILL, last_words=words) from error
        except (ValueError, TypeError, KeyError) as error:
            raise ChildDiedError("the worker: its answer could not be understood") from error

    def kill(self) -> None:
        """Kill it now, whatever it is doing; a caller that waits for its answer gets ChildDiedError."""
        self._process.kill()

    def end(self) -> None:
        """Kill it and remove the files that it leaves behind."""
        if hasattr(self, "_process"):
            self._process.kill()
            self._process.wait()
        if hasattr(self, "_words"):
            self._words.close()
        self._sock.close()
        temporary.remove_folder(self._folder)

    def is_alive(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def _last_words(self) -> str:
        if not hasattr(self, "_words"):
            return ""
        written = os.fstat(self._words.fileno()).st_size
        return os.pread(self._words.fileno(), 2000, max(written - 2000, 0)).decode("utf-8", "replace").strip()


class Children:
    """A pool of at most `processes` children. Every method may be called from any thread."""

    def __init__(self, limits: Limits, *, processes: int) -> None:
        """Close this process to inspection as well, before there is a child that a file could take over."""
        forbid_inspection()
        self._limits = limits
        self._processes = processes
        self._changed = threading.Condition()
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._starting = 0
        self._stopped = False
        # PR_SET_PDEATHSIG refers to the thread that started a child, not to its process; so one thread starts them all.
        self._starter = full_pool(1, "extract-starter")

    def ask(self, body: bytes | Path, kind: Kind) -> Extracted:
        """Wait for a free child and have it parse a document.

        Raises TimeoutError and ChildDiedError, which are the document's fault; ExtractionStoppedError; and OSError, if no
        child can be started or the machine lacks the resources for its work.
        """
        asked = time.monotonic()
        child = self._take()
        waited_s = time.monotonic() - asked
        healthy = False
        try:
            extracted, healthy = child.ask(body, kind)
        except (TimeoutError, ChildDiedError):
            if self._stopped:
                raise ExtractionStoppedError("the worker is stopping") from None
            raise
        finally:
            self._give_back(child, usable=healthy and child.documents < MAX_DOCUMENTS)
        return replace(extracted, waited_s=waited_s)

    def pids(self) -> list[int]:
        """The process ids of the running children."""
        with self._changed:
            return [child.pid for child in self._all]

    def stop(self) -> None:
        """Kill all children and end all waits; the pool cannot be used afterwards."""
        with self._changed:
            self._stopped = True
            for child in self._all:
                child.kill()
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for child in idle:
            self._bury(child)

    def close(self) -> None:
        """Stop, and wait until all children and their folders are gone. One that is just being started ends with us."""
        self.stop()
        self._starter.shutdown(wait=False)
        with self._changed:
            self._changed.wait_for(lambda: not self._all and not self._starting, timeout=CLOSE_TIMEOUT_S)

    def _take(self) -> Child:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._idle or self._has_room())
                if self._stopped:
                    raise ExtractionStoppedError("the worker is stopping")
                child = self._idle.pop() if self._idle else None
                if child is None:
                    self._starting += 1
            if child is None:
                return self._start()
            if child.is_alive():
                return child
            self._bury(child)  # it was killed while it was idle

    def _has_room(self) -> bool:
        return len(self._all) + self._starting < self._processes

    def _start(self) -> Child:
        child: Child | None = None
        try:
            child = self._starter.submit(Child, self._limits).result()
        except RuntimeError as error:  # the pool was shut down in the meantime
            raise ExtractionStoppedError("the worker is stopping") from error
        finally:
            with self._changed:
                self._starting -= 1
                if child is not None:
                    self._all.add(child)
                self._changed.notify_all()
        emit(LogEvent.EXTRACT_CHILD_STARTED, "debug", pid=child.pid, missing=child.missing)
        if self._stopped:
            self._bury(child)
            raise ExtractionStoppedError("the worker is stopping")
        return child

    def _give_back(self, child: Child, *, usable: bool) -> None:
        with self._changed:
            if usable and not self._stopped:
                self._idle.append(child)
                self._changed.notify()
                return
        self._bury(child)

    def _bury(self, child: Child) -> None:
        try:
            child.end()
        finally:  # its place in the pool must not be lost
            with self._changed:
                self._all.discard(child)
                self._changed.notify_all()


def _spawn(socket_number: int, words: int, folder: Path, limits: Limits) -> "subprocess.Popen[bytes]":
    """Start a new interpreter without the worker's environment: a file that takes it over finds no credentials there."""
    arguments: tuple[object, ...] = (socket_number, os.getpid(), limits.memory_bytes, limits.max_chars, PARSER)
    environment = dict.fromkeys(("TMPDIR", "HOME", "XBERG_CACHE_DIR", "HF_HOME"), str(folder))
    environment |= {"PATH": os.defpath, "LANG": "C.UTF-8"}
    environment["OPENSSL_CONF"] = os.devnull  # in /etc, where it may read nothing
    return subprocess.Popen(  # noqa: S603 (our own code)
        [sys.executable, "-I", "-B", "-c", _BOOT.format(path=sys.path, arguments=arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=words,
        pass_fds=[socket_number],
        env=environment,
        cwd=folder,
    )


def _checked(answer: JsonObject, text: bytearray) -> Extracted:
    """Return the result that an answer contains, with the text that came with it.

    Raises MachineError, and ValueError, TypeError or KeyError for an answer that a child in good order never gives.
    """
    if "machine" in answer:
        raise MachineError(f"no file can be parsed at present: {str(answer['machine'])[:500]}")
    reason = answer["extracted"]["reason"]
    extracted = Extracted(**{**answer["extracted"], "content": text.decode(), "reason": reason and Reason(reason)})
    if extracted.status not in get_args(Status) or not isinstance(extracted.mime_type, str):
        raise ValueError("not a valid answer")
    return extracted


def _name(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"
