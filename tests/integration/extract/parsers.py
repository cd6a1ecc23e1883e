"""Parsers that misbehave: children run one of these in place of the real one."""

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

from worker.core.extract import Extracted
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
