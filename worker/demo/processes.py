"""The processes of the demo: none is left behind, whatever ends it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from worker.core.base.errors import WorkerError
from worker.interruption import say_stopping

STOP_S = 30
"""How long one may take to end."""
TAIL_LINES = 15


@contextmanager
def running(
    module: str, *args: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module` within this context; it writes into a log. `env` replaces the environment of this process."""
    process: subprocess.Popen[bytes] | None = None
    try:
        with (
            log.open("wb") as lines,
            _signals_wait(),
        ):  # one that came between fork and return would leave the process behind
            command = [sys.executable, "-m", module, *args]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=lines, stderr=lines, env=env)  # noqa: S603 (our own modules)
        yield process
    finally:
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def failure(what: str, log: Path) -> WorkerError:
    """An error that shows the end of a log."""
    tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return WorkerError("\n".join([f"{what}; its log ends:", *tail]))


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP end the demo in such a way that everything is cleaned up."""

    def end(number: int, _frame: FrameType | None) -> None:
        say_stopping(number, "stopping: the demo removes what it has made")
        raise SystemExit(128 + number)

    with _handled_by(end):
        yield


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Let signals take effect only at the end of this context."""
    came: list[int] = []
    try:
        with _handled_by(lambda number, _frame: came.append(number)):
            yield
    finally:
        for number in came:
            signal.raise_signal(number)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Handle the signals that end a program in this way within this context."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
