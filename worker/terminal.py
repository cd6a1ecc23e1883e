"""What all commands share: start, end and output. Results go to stdout, messages to stderr."""

import getpass
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated, Any, Literal

import orjson
import typer
from rich.console import Console
from rich.text import Text
from typer.exceptions import TyperException

from worker import interruption
from worker.core.audit import Recorded
from worker.core.base import logs
from worker.core.base.classify import is_transient
from worker.core.base.credential_faults import said_of_credentials
from worker.core.base.errors import (
    ConfigError,
    DependencyError,
    ExitCode,
    IndexUnavailableError,
    PausedError,
    QueueError,
    StoreError,
    WorkerError,
)
from worker.core.base.names import is_bucket_name
from worker.core.base.settings import Settings, load
from worker.core.base.text import escaped_json, one_line, printable
from worker.core.s3.objects import Place
from worker.explain import answered, show_every_character
from worker.layout import Sentence, show, wrapped
from worker.usage import show_usage_error

PIPE_WIDTH = 4_000
"""Number of columns to assume in a pipe, where rich would cut tables at 80."""
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_SCHEME = "s3://"
_DURATION = re.compile(r"^(\d{1,13})([smhd])$")
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "m"))
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FAILURES: tuple[tuple[type[WorkerError], str, ExitCode], ...] = (
    (ConfigError, "configuration", ExitCode.CONFIG),
    (PausedError, "paused", ExitCode.PAUSED),
    (DependencyError, "unavailable", ExitCode.DEPENDENCY),
    (IndexUnavailableError, "unavailable", ExitCode.DEPENDENCY),
    (StoreError, "unavailable", ExitCode.DEPENDENCY),
    (QueueError, "unavailable", ExitCode.DEPENDENCY),
    (WorkerError, "failed", ExitCode.INTERNAL),
)

err = Console(stderr=True)


def configure_logs(level: str, form: Literal["auto", "json", "console"]) -> None:
    """Send a service's log lines to stderr; on a terminal, only errors."""
    logs.configure(level="error" if err.is_terminal else level, form=form)


def configure_command_logs(level: str, form: Literal["auto", "json", "console"], *, verbose: bool = False) -> None:
    """Send a command's log lines to stderr: under systemd, where people read the log, or if they are asked for (`-v`).

    Otherwise only errors, on a terminal and in a pipe: the command's messages say the rest.
    """
    is_wanted = verbose or logs.JOURNAL in os.environ
    logs.configure(level=level if is_wanted else "error", form=form)


def operator() -> str:
    """The person at the keyboard, as `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container, the user may have no name
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def new_app(name: str, help_text: str | None = None, **options: Any) -> typer.Typer:
    """Create the command line of a program, with the options that all share. `help_text` is for one with several commands."""
    return typer.Typer(
        name=name,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # it would wrap what must not be wrapped, such as ids in an error
        context_settings={"help_option_names": ["-h", "--help"]},
        help=help_text,
        **options,
    )


def load_for_command() -> Settings:
    """The settings, for a command that is not the daemon; its log goes to stderr. Raises ConfigError."""
    settings = load()
    configure_command_logs(settings.log_level, settings.log_format)
    return settings


def run_app(app: typer.Typer) -> None:
    """Run a command line and exit. An error is shown as a sentence on stderr and an exit code, never as a stack trace."""
    show_every_character()
    if answered(str(app.info.name), sys.argv[1:]):
        return
    interruption.heed_interrupts()
    interruption.running()
    try:
        _run(app)
    except BaseException:
        if interruption.was_interrupted():  # whatever has become of the exception that this raised
            interruption.leave()
        raise


def _run(app: typer.Typer) -> None:
    """The same, except for Ctrl-C before a command handles signals itself."""
    try:
        sys.exit(app(standalone_mode=False) or ExitCode.OK)  # otherwise typer would word the errors
    except TyperException as error:
        show_usage_error(err, error)
        sys.exit(ExitCode.USAGE)
    except typer.Abort:
        tell("nothing was done")
        sys.exit(ExitCode.INTERRUPTED)
    except WorkerError as error:
        sys.exit(say_error(error))
    except OSError as error:  # typer has ended quietly if it was a closed pipe
        about = f"{error.filename}: " if error.filename else ""
        say("failed", f"{about}{error.strerror or error}")
        sys.exit(ExitCode.DEPENDENCY)
    except (MemoryError, RuntimeError) as error:
        if not is_transient(error):
            raise
        say("failed", f"{str(error) or 'out of memory'}: see MemoryMax=, LimitAS=, TasksMax= and `ulimit -v`")
        sys.exit(ExitCode.INTERNAL)


def say(what: str, text: str) -> None:
    """Show an error on stderr: each line is labelled, and contains nothing that could control the terminal."""
    for line in text.splitlines():
        show(err, Sentence(Text.assemble((f"{what}: ", "bold red"), printable(line))))


def tell(text: str) -> None:
    """Show a message on stderr, which may contain untrusted text."""
    show(err, Sentence(one_line(text)))


def say_error(error: WorkerError, about: str = "") -> ExitCode:
    """Show an expected error on stderr; its exit code. `about`: what it is about, if it does not say so."""
    what, exit_code = next((what, code) for kind, what, code in _FAILURES if isinstance(error, kind))
    text = said_of_credentials(error) or (f"{about}: {error}" if about else str(error))
    say(what, text)
    return exit_code


def stdout() -> Console:
    """The console for results: as wide as the terminal, and practically unlimited in a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def print_json(value: object) -> None:
    """Print a JSON value on one line of stdout; characters that control a terminal are escaped, as JSON allows."""
    sys.stdout.write(escaped_json(orjson.dumps(value, default=str).decode()) + "\n")
    sys.stdout.flush()


def show_recorded(recorded: Recorded) -> ExitCode:
    """Show where a change is recorded. Returns INCOMPLETE if it could not be written to the state bucket."""
    if recorded.problem:
        say("audit", f"recorded only in the log, because writing to the state bucket failed: {recorded.problem}")
        return ExitCode.INCOMPLETE
    where = f"recorded in {recorded.key}" if recorded.key else "recorded in the log alone: no STATE_BUCKET"
    tell(where)
    return ExitCode.OK


def seconds(duration: str | None, option: str) -> int | None:
    """Convert `90s`, `30m`, `2h` or `1d` to seconds. Raises a usage error that gives the name of the option."""
    if duration is None:
        return None
    match = _DURATION.match(duration)
    if match is None:
        raise typer.BadParameter(f"{duration!r}: it should be a number and s, m, h or d, as in 30m", param_hint=option)
    return int(match[1]) * _SECONDS[match[2]]


def agreed(question: str) -> bool:
    """Ask on a terminal; without one, --yes is required."""
    check_can_ask()
    return typer.confirm("\n".join(wrapped(err, question)), err=True)


def check_can_ask() -> None:
    """Raises a usage error where nobody can be asked."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("is required, because there is no terminal to ask on", param_hint="--yes")


def require_bucket_name(name: str) -> None:
    """Raises a usage error if no bucket can have this name."""
    if not is_bucket_name(name):
        raise typer.BadParameter(f"{name!r} cannot be a bucket's name; it should be one such as our-files")


def place_of(given: str) -> Place:
    """The bucket, or the part of one, that was given as `s3://BUCKET/PREFIX`. Raises a usage error if it is none."""
    bucket, _, prefix = given.removeprefix(_SCHEME).partition("/")
    if not given.startswith(_SCHEME):
        raise typer.BadParameter(f"{given!r} should be s3://BUCKET or s3://BUCKET/PREFIX")
    require_bucket_name(bucket)
    return Place(bucket, prefix)


def distinct_places(places: list[Place]) -> list[Place]:
    """The places. Raises a usage error where one is inside another: its objects would be counted twice."""
    for number, one in enumerate(places):
        for other in places[:number]:
            if one.contains(other.bucket, other.prefix) or other.contains(one.bucket, one.prefix):
                raise typer.BadParameter(f"{one} and {other} overlap: objects would be counted twice")
    return places


def iso(at_s: float) -> str:
    """A time (seconds since the epoch) in ISO 8601, UTC."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")


def span(seconds: float) -> str:
    """Format a duration in its two largest units: `3d 4h`, `12m 5s`; a negative one is `0s`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for length, unit in _SPANS:
        if left >= length or parts:
            parts.append(f"{left // length}{unit}")
            left %= length
    return " ".join([*parts, f"{left}s"][:2])


class Signals:
    """The signal that asked a command to end: the first takes effect between two steps, the second ends it at once."""

    def __init__(self, *, changes: bool = True) -> None:
        """`changes`: whether the command changes anything, and so may have begun something that it finishes."""
        self._changes = changes
        self.stop = threading.Event()
        self.exit_code: ExitCode | None = None

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        if self.stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.exit_code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED
        self.stop.set()
        interruption.say_stopping(number, interruption.FINISHING if self._changes else interruption.STOPPING)

    @contextmanager
    def heeded(self) -> Iterator["Signals"]:
        """Within this context, SIGINT and SIGTERM only set `stop`."""
        before: dict[int, Callable[..., Any] | int | None] = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, self._heed)
        try:
            yield self
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
