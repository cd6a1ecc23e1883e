"""Who is shown the console of the demo, what it is made with, and what ends it."""

import io
import os
import signal
import subprocess
import sys

import pytest
from rich.console import Console

from worker.core.base.errors import WorkerError
from worker.demo import console, pages


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("is_terminal", "ci", "wanted"),
    [(True, "", True), (True, "false", True), (True, "true", False), (True, "1", False), (False, "", False)],
)
def test_only_whoever_sits_at_a_terminal_is_shown_the_console(monkeypatch, is_terminal, ci, wanted):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setattr("sys.stdin", Terminal() if is_terminal else io.StringIO())
    assert console.has_reader() == wanted


def test_a_pipe_on_either_side_is_nobody(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert not console.has_reader()


def test_without_the_extra_it_says_in_one_line_what_to_install(monkeypatch):
    assert console.missing() is None
    monkeypatch.setattr(console, "_NEEDED", ("no_such_package",))
    shown = Console(file=io.StringIO(), width=200)
    pages.show_no_console(shown, str(console.missing()))
    said = shown.file.getvalue().strip()  # type: ignore[attr-defined]
    assert said == (
        "The console is not shown: no_such_package is not installed. Install the extra `manager`: "
        "pip install '.[demo,manager]'"
    )


def test_no_setting_of_the_users_reaches_the_manager(monkeypatch, tmp_path):
    for name in (
        "NOTIFY_URLS",
        "OWNERS",
        "MANAGER_HOST",
        "MANAGER_AUTH",
        "RETRY_TIMES",
        "NOTIFY_SOCKET",
        "REDACT_FIELDS",
    ):
        monkeypatch.setenv(name, "of the user")
    monkeypatch.setenv("STATE_BUCKET", "demo-state")
    made = console._environment(tmp_path)
    assert "of the user" not in made.values()
    assert (made["STATE_BUCKET"], made["MANAGER_PORT"], made["PATH"]) == ("demo-state", "0", os.environ["PATH"])
    assert made["LEDGER_URL"] == f"sqlite:///{tmp_path}/ledger.sqlite"


@pytest.fixture
def child(tmp_path):
    """A manager that has started, as its log says."""
    log = tmp_path / "manager.log"
    log.write_text('not JSON\n{"event": "manager.started", "port": 4711}\n')
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield console.Manager(process, log)
        process.kill()


def test_its_address_is_known_once_it_has_started(child):
    assert child.address() == "http://127.0.0.1:4711/console/"


def test_one_that_does_not_start_is_an_error_with_the_end_of_its_log(tmp_path):
    log = tmp_path / "manager.log"
    log.write_text("configuration: STATE_BUCKET is missing\n")
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(78)"]) as process:
        process.wait()
        with pytest.raises(WorkerError, match=r"(?s)exit code 78; its log ends:.*STATE_BUCKET is missing"):
            console.Manager(process, log).address()


def test_ctrl_c_ends_the_wait_as_enter_does_and_is_heeded_as_before_afterwards(child, monkeypatch):
    read, write = os.pipe()
    before = signal.getsignal(signal.SIGINT)
    with os.fdopen(read) as stdin, os.fdopen(write, "w") as typed:
        monkeypatch.setattr("sys.stdin", stdin)
        child.wait_for_enter(lambda: signal.raise_signal(signal.SIGINT))
        assert signal.getsignal(signal.SIGINT) is before
        typed.write("\n")
        typed.flush()
        child.wait_for_enter(lambda: pytest.fail("Enter was pressed already"))


def test_a_manager_that_ends_by_itself_ends_the_wait(child, monkeypatch):
    read, write = os.pipe()
    with os.fdopen(read) as stdin, os.fdopen(write, "w"):
        monkeypatch.setattr("sys.stdin", stdin)
        child.stop()
        with pytest.raises(WorkerError, match="ended with exit code -15"):
            child.wait_for_enter(lambda: None)
