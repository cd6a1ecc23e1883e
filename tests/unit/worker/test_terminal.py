"""What all commands share."""

import getpass
import os
import signal
import subprocess
import sys

import pytest
import structlog

from worker.core.base import logs
from worker.core.base.errors import DependencyError, ExitCode, QueueError, WorkerError
from worker.core.base.events import LogEvent
from worker.interruption import FINISHING
from worker.terminal import Signals, configure_command_logs, new_app, operator, run_app, say_error


def test_a_user_without_a_name_is_told_by_number(monkeypatch):
    def nameless():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert operator() == f"{os.getuid()}@{os.uname().nodename}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/root/out"), "failed: /root/out: Permission denied"),
        (OSError(28, "No space left on device"), "failed: No space left on device"),
    ],
)
def test_what_the_system_refuses_is_told_in_a_sentence(monkeypatch, capsys, error, said):
    app = new_app("show")

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["fail"])
    with pytest.raises(SystemExit) as ended:
        run_app(app)
    assert ended.value.code == ExitCode.DEPENDENCY
    assert capsys.readouterr().err.strip() == said


SHOW = """
from worker.terminal import new_app, run_app, stdout

app = new_app("show")

@app.command()
def show() -> None:
    for number in range(20_000):
        print("見積書", number)
    stdout().print("契約書")

run_app(app)
"""


def test_an_ascii_terminal_gets_escapes_and_a_closed_pipe_ends_quietly():
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    whole = subprocess.run(
        [sys.executable, "-c", SHOW], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    assert whole.stdout.startswith("\\u898b\\u7a4d\\u66f8 0\n")
    assert whole.stdout.endswith("\\u5951\\u7d04\\u66f8\n")
    headed = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" | head -1', sys.executable, SHOW],
        env=env, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert (headed.stdout, headed.stderr) == ("\\u898b\\u7a4d\\u66f8 0\n", "")


@pytest.mark.parametrize(
    ("journal", "verbose", "is_logged"), [(None, False, False), (None, True, True), ("8:1", False, True)]
)
def test_a_command_logs_for_systemd_and_with_v_and_otherwise_says_it_in_words_alone(
    monkeypatch, capfd, journal, verbose, is_logged
):
    monkeypatch.delenv(logs.JOURNAL, raising=False)
    if journal is not None:
        monkeypatch.setenv(logs.JOURNAL, journal)
    monkeypatch.setattr(logs, "_log", None)
    monkeypatch.setattr(logs, "_set_up", None)
    before = structlog.get_config()
    try:
        configure_command_logs("info", "json", verbose=verbose)
        logs.emit(LogEvent.AUDIT_RECORDED, action="recover")
        assert ("audit.recorded" in capfd.readouterr().err) is is_logged
    finally:
        structlog.configure(**before)


@pytest.mark.parametrize("wraps", [False, True])
def test_missing_credentials_are_told_instead_of_the_setting_that_was_used(capsys, wraps):
    error: WorkerError = QueueError("Unable to locate credentials", code="NoCredentialsError")
    if wraps:
        cause, error = error, DependencyError("DLQ_QUEUE_URL=http://x: Unable to locate credentials")
        error.__cause__ = cause
    assert say_error(error) == ExitCode.DEPENDENCY
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("unavailable: no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,")
    assert "DLQ_QUEUE_URL" not in said


def test_a_command_that_changes_nothing_only_says_that_it_stops(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr("worker.interruption.say_stopping", lambda _, text: said.append(text))
    for changes in (False, True):
        with Signals(changes=changes).heeded():
            signal.raise_signal(signal.SIGINT)
    assert said == ["stopping", FINISHING]
