"""The end of the demo on a terminal: the manager's console over what the demo has just done, until Enter is pressed."""

import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from worker.demo import processes

STARTED_WITHIN_S = 60.0
LOOK_S = 0.2
_NEEDED = ("fastapi", "uvicorn", "sqlalchemy", "alembic", "jinja2")
"""Packages of the extra `manager`, without any of which the manager does not start."""
_KEPT = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "NO_PROXY"})
"""Variables that any program may need."""
_OF_THE_DEMO = frozenset({
    "S3_BUCKET", "STATE_BUCKET", "SQS_QUEUE_URL", "DLQ_QUEUE_URL", "OPENSEARCH_ENDPOINT", "LONG_POLL_S", "LOG_FORMAT",
    "METRICS_PORT", "TEMP_DIR",
})  # fmt: skip
_PREFIXES = ("AWS_", "INDEX_", "OPENSEARCH_", "PYTHON", "LC_")


def has_reader() -> bool:
    """Whether somebody sits at a terminal, and can press Enter: neither a pipe nor CI does."""
    is_ci = os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}
    return sys.stdin.isatty() and sys.stdout.isatty() and not is_ci


def missing() -> str | None:
    """A package that the console needs and that is not installed; None if there is none."""
    return next((name for name in _NEEDED if importlib.util.find_spec(name) is None), None)


class Manager:
    """`dlq-manager serve` as a child process, and its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def address(self) -> str:
        """Where its console is, once it has started. Raises WorkerError if it does not."""
        until = time.monotonic() + STARTED_WITHIN_S
        while (port := self._port()) is None:
            self.check()
            if time.monotonic() > until:
                raise processes.failure(f"dlq-manager did not start within {STARTED_WITHIN_S:.0f} s", self._log)
            time.sleep(LOOK_S)
        return f"http://127.0.0.1:{port}/console/"

    def wait_for_enter(self, follow: Callable[[], None]) -> None:
        """Wait until Enter or Ctrl-C is pressed, and look after both processes. Raises WorkerError if one has ended."""
        with _heeding_interrupt() as interrupted:
            while not interrupted() and not select.select([sys.stdin], [], [], LOOK_S)[0]:
                self.check()
                follow()
        if not interrupted():
            sys.stdin.readline()

    def stop(self) -> None:
        """Let it begin to end."""
        self._process.terminate()

    def check(self) -> None:
        """Raises WorkerError if it has ended by itself."""
        if (code := self._process.poll()) is not None:
            raise processes.failure(f"dlq-manager ended with exit code {code}", self._log)

    def _port(self) -> int | None:
        for line in self._log.read_bytes().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue  # a line from the interpreter, or one that is not complete yet
            if event.get("event") == "manager.started":
                return int(event["port"])
        return None


@contextmanager
def serving(temp: Path) -> Iterator[Manager]:
    """The manager of the demo within this context: its ledger is a file in `temp`, and nobody is notified."""
    log = temp / "manager.log"
    with processes.running("recovery.manager.cli", "serve", log=log, env=_environment(temp)) as process:
        yield Manager(process, log)


def _environment(temp: Path) -> dict[str, str]:
    """What the demo has set, and no setting of the user's: the manager has more of them than the worker knows."""
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT | _OF_THE_DEMO or name.startswith(_PREFIXES)
    }
    return {
        **kept,
        "LEDGER_URL": f"sqlite:///{temp}/ledger.sqlite",
        "MANAGER_PORT": "0",
        "SEARCH_PAGE": "on",
    }


@contextmanager
def _heeding_interrupt() -> Iterator[Callable[[], bool]]:
    """Within this context, Ctrl-C does nothing but note that it came: whoever has seen enough may press it instead of Enter."""
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGINT, before)
