"""What Ctrl-C does from a program's first moment on: one line at once, exit code 130, and never a stack trace.

Imports little, because it is loaded before everything that takes time. Whoever has something to finish or to give back handles
signals itself (`terminal.Signals`, the daemon, the manager), and uses `say_stopping` alone.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

EXIT_CODE = 130
"""`ExitCode.INTERRUPTED`, which is not loaded here."""
FINISHING = "stopping: what has begun is finished, the rest is given back; again to end at once"
_ENDING = "stopping; again to end at once"

_state = {"is_running": False, "came": False}


def heed_interrupts() -> None:
    """From now on, Ctrl-C ends the program as described. Where it is ignored, as in a shell's background job, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def running() -> None:
    """Note that a command runs: from now on, Ctrl-C unwinds it, so that it can tidy up, for example show the cursor again."""
    _state["is_running"] = True


def was_interrupted() -> bool:
    """Whether Ctrl-C is ending the program."""
    return _state["came"]


def leave() -> None:
    """End at once with EXIT_CODE: a normal exit would wait for threads, and these for services."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(EXIT_CODE)


def say_stopping(number: int, text: str = FINISHING, *, only_terminal: bool = False) -> None:
    """Say at once that a signal is heeded; may be called by its handler. Only a terminal is told of any other than Ctrl-C.

    `only_terminal`: of that too, for programs that log one event a line.
    """
    is_terminal = os.isatty(2)
    if is_terminal or (number == signal.SIGINT and not only_terminal):
        line = f"\n{text}\n" if is_terminal else f"{text}\n"  # a terminal shows ^C in the line where the cursor was
        with suppress(OSError):
            os.write(2, line.encode())


def _end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    _state["came"] = True
    say_stopping(number, _ENDING)
    if not _state["is_running"]:
        leave()  # an exception raised by an import might be replaced by another one
    raise SystemExit(EXIT_CODE)
