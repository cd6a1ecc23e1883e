"""Ctrl-C at any moment of a program: one line at once, its exit code, and no stack trace; with real signals."""

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.worker import base_env
from worker.core.base.errors import ExitCode
from worker.interruption import EXIT_CODE, FINISHING, say_stopping

LINE = "stopping; again to end at once\n"
PROGRAM = "import sys\nfrom worker.interruption import heed_interrupts\nheed_interrupts()\n"
PROGRAM += "from importlib import import_module\nmodule, *sys.argv[1:] = sys.argv[1:]\nimport_module(module).main()\n"


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """A service that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


def env_for(listener: socket.socket | None = None) -> dict[str, str]:
    address = f"http://127.0.0.1:{listener.getsockname()[1] if listener else 9}"
    return {
        **base_env(), "SQS_QUEUE_URL": f"{address}/q/files", "DLQ_QUEUE_URL": f"{address}/q/files-dlq", "INDEX_URL": address,
        "STATE_BUCKET": "our-state", "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": address, "METRICS_PORT": "0",
        "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing",
    }  # fmt: skip


def started(module: str, *arguments: str, options: tuple[str, ...] = (), **more) -> "subprocess.Popen[str]":
    command = [sys.executable, *options, "-c", PROGRAM, module, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def test_a_program_heeds_it_before_it_imports_anything_that_takes_time() -> None:
    for module, function in {
        tuple(one.split(":"))
        for one in tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"].values()
    }:
        seen = (
            f"import sys; before = set(sys.modules); from {module} import {function}; print(*set(sys.modules) - before)"
        )
        done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
        own = {"worker", "worker.interruption", "worker.program", "recovery", "recovery.cli", "recovery.cli.programs"}
        assert set(done.stdout.split()) <= own


@pytest.mark.parametrize(
    ("module", "argument", "imported"),
    [
        ("worker.cli", "run", "typer"),
        ("worker.cli", "run", "boto3"),
        ("recovery.cli.main", "list", "pydantic"),
        ("recovery.cli.recover_dlq", "--dry-run", "worker.core.clients"),
    ],
)
def test_while_modules_are_imported_it_ends_in_one_line(module: str, argument: str, imported: str) -> None:
    said = []
    with started(module, argument, options=("-X", "importtime"), env=env_for()) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if line.split()[-1] == imported:
                process.send_signal(signal.SIGINT)
                break
        said += process.stderr
    assert process.returncode == EXIT_CODE == ExitCode.INTERRUPTED
    assert [line for line in said if not line.startswith("import time:")] == [LINE]


@pytest.mark.parametrize(
    ("module", "argument"),
    [("worker.cli", "run"), ("worker.cli", "doctor"), ("worker.cli", "status"), ("recovery.cli.main", "stats")],
)
def test_while_a_service_does_not_answer_it_ends_at_once(
    silent_server: socket.socket, module: str, argument: str
) -> None:
    process = started(module, argument, env={**env_for(silent_server), "LOG_LEVEL": "error"})
    with silent_server.accept()[0]:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (ExitCode.INTERRUPTED, "", LINE)
        assert time.monotonic() - began < 5


def test_a_command_that_holds_something_says_at_once_that_it_finishes(silent_server: socket.socket) -> None:
    with started("recovery.cli.recover_dlq", env={**env_for(silent_server), "LOG_LEVEL": "error"}) as process:
        assert process.stderr is not None
        with silent_server.accept()[0]:
            process.send_signal(signal.SIGINT)
            assert process.stderr.readline() == f"{FINISHING}\n"
            process.send_signal(signal.SIGINT)
            assert process.stderr.read() == ""
    assert process.returncode == -signal.SIGINT  # a shell says 130


def shown(controller: int) -> bytes:
    """All that was written to a terminal which nobody has open any more: one read gives 4,096 bytes at most."""
    found = b""
    with contextlib.suppress(OSError):  # Linux says so where it ends
        while more := os.read(controller, 65_536):
            found += more
    return found


def test_on_a_terminal_the_line_is_below_what_was_typed(silent_server: socket.socket) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "worker.cli", "doctor"], env=env_for(silent_server), stdin=terminal,
        stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    with silent_server.accept()[0]:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == ExitCode.INTERRUPTED
    assert "\r\nstopping; again to end at once\r\n" in shown(controller).decode()
    os.close(controller)


def test_what_a_shell_started_in_the_background_ignores_it() -> None:
    program = f"{PROGRAM.partition('from importlib')[0]}import signal\nprint(signal.getsignal(signal.SIGINT).name)"
    ignoring = f"trap '' INT; exec {sys.executable} -c \"$1\""
    done = subprocess.run(["sh", "-c", ignoring, "sh", program], capture_output=True, text=True, check=True)
    assert done.stdout == "SIG_IGN\n"


def test_on_a_narrow_terminal_it_is_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr("os.isatty", lambda _: True)
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((80, 24)))
    monkeypatch.setattr("os.write", lambda _, line: written.append(line))
    say_stopping(signal.SIGINT)
    [line] = written
    first, second = line.decode().strip().splitlines()
    assert (f"{first} {second}", second) == (FINISHING, "once")
