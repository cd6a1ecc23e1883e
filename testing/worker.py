"""The real daemon as a subprocess, whose log is read line by line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testing.process import LAUNCHER

START_S = 30


class WorkerProcess:
    """`python -m worker run` with the given environment, or another module, which logs `started` once it is ready."""

    def __init__(
        self, env: Mapping[str, str], folder: Path, *, name: str = "worker", module: Sequence[str] = ("worker", "run"),
        started: str = "worker.started",
    ) -> None:  # fmt: skip
        self._module = module
        self._started = started
        self._env = {**base_env(), "TEMP_DIR": str(folder), "METRICS_PORT": "0", "LONG_POLL_S": "1", **env}
        self._log = folder / f"{name}-{time.monotonic_ns()}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start it without waiting."""
        with self._log.open("wb") as log:
            command = [sys.executable, str(LAUNCHER), str(os.getpid()), sys.executable, "-m", *self._module]
            self.process = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)

    def start(self) -> "WorkerProcess":
        """Start it and wait until it is ready."""
        self.spawn()
        return self.wait_started()

    def wait_started(self) -> "WorkerProcess":
        self.wait_for(lambda: self.events(self._started), timeout_s=START_S, what=self._started)
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def lines(self) -> list[dict[str, Any]]:
        found = []
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(line[3:] if line.startswith("<") else line))  # without a journal priority
            except ValueError:
                found.append({"event": "(text)", "text": line})
        return found

    def events(self, event: str, /, **fields: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in self.lines()
            if line.get("event") == event and all(line.get(k) == v for k, v in fields.items())
        ]

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def wait_for(self, ready: Callable[[], Any], *, timeout_s: float, what: str) -> Any:
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            found = ready()
            if found:
                return found
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come within {timeout_s} s; the log ends:\n{self.log_tail()}")

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 40) -> int:
        assert self.process is not None
        return self.process.wait(timeout_s)

    def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@contextmanager
def running(
    env: Mapping[str, str], folder: Path, *, name: str = "worker", module: tuple[str, ...] = ("worker", "run")
) -> Any:
    """A running daemon, which is killed at the end if the test has not stopped it."""
    worker = WorkerProcess(env, folder, name=name, module=module)
    try:
        yield worker.start()
    finally:
        worker.kill()


def base_env() -> dict[str, str]:
    """The environment of this process, without variables that could direct a daemon to other services."""
    dropped = (
        "AWS_", "SQS_", "DLQ_", "S3_", "INDEX_", "OPENSEARCH_", "LEDGER_", "MANAGER_", "NOTIFY_SOCKET", "WATCHDOG_",
        "JOURNAL_STREAM",
    )  # fmt: skip
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def run_cli(env: Mapping[str, str], *args: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command of `s3-index-worker` and capture its output."""
    return run_module("worker", env, *args, timeout_s=timeout_s)


def run_module(
    module: str, env: Mapping[str, str], *args: str, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` and capture its output."""
    return subprocess.run(
        [sys.executable, "-m", module, *args],
        env={**base_env(), "METRICS_PORT": "0", **env},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
