"""What Ctrl-C does from a program's first statement on: one line at once, exit code 130, and never a stack trace.

Before that, for some 50 ms, Python itself starts, and answers in its own way. This module imports next to nothing, because it is
loaded before everything that takes time. Whoever has something to finish or to give back handles signals itself
(`terminal.Signals`, the daemon, the manager), and uses `say_stopping` alone.
"""

# `signal` itself makes enumerations of these names, which takes longer than all else here.
import _signal as signal  # type: ignore[import-not-found]
import os
import sys

EXIT_CODE = 130
"""`ExitCode.INTERRUPTED`, which is not loaded here."""
FINISHING = "stopping: what has begun is finished, the rest is given back; again to end at once"
STOPPING = "stopping"
_ENDING = "stopping; again to end at once"

_state = {"is_running": False, "came": False}


def start(program: str, module: str) -> None:
    """Start a program, of which this is the first statement: Ctrl-C is heeded before anything that takes time is imported."""
    heed_interrupts()
    from worker import explain

    explain.start(program, module)


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
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(EXIT_CODE)


def say_stopping(number: int, text: str = FINISHING, *, only_terminal: bool = False) -> None:
    """Say at once that a signal is heeded; may be called by its handler. Only a terminal is told of any other than Ctrl-C.

    `only_terminal`: of that too, for programs that log one event a line.
    """
    is_terminal = os.isatty(2)
    if is_terminal or (number == signal.SIGINT and not only_terminal):
        line = f"\n{_wrapped(text)}\n" if is_terminal else f"{text}\n"  # a terminal shows ^C where the cursor was
        try:
            os.write(2, line.encode())
        except OSError:
            return


def _wrapped(text: str) -> str:
    """The text in lines that fit on the terminal, broken between words: a terminal breaks it wherever its line is full."""
    try:
        columns = os.get_terminal_size(2).columns
    except OSError:
        return text
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if columns and len(longer) > columns and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _end(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    _state["came"] = True
    say_stopping(number, _ENDING)
    if not _state["is_running"]:
        leave()  # an exception raised by an import might be replaced by another one
    raise SystemExit(EXIT_CODE)
