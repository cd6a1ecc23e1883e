"""The program that opens files for a command: as `run-as-unit` calls it, with a command that stands for `dlq`."""

import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from recovery.cli.caller import caller_file

COMMAND = """#!{python}
import os, sys, time
address = sys.argv[1].removeprefix("--caller-files=")
os.environ["CALLER_FILES"] = address
os.chdir("/")
from recovery.cli.caller import caller_file
{does}
"""


@pytest.fixture
def command(tmp_path: Path):
    """Start a command that does something, in a folder of the caller."""

    def start(does: str, *arguments: str) -> subprocess.Popen[str]:
        script = tmp_path / "command"
        script.write_text(COMMAND.format(python=sys.executable, does=does))
        script.chmod(0o755)
        argv = [sys.executable, "-m", "recovery.cli.caller", str(script), *arguments]
        pipe = subprocess.PIPE
        return stack.enter_context(subprocess.Popen(argv, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True))

    with ExitStack() as stack:
        yield start


def test_a_file_is_created_and_read_where_the_caller_is(command, tmp_path):
    does = """
file = caller_file("東京.jsonl")
with file.new() as stream:
    stream.write(b"hello")
with file.open() as stream:
    print(stream.read(), file.name)
"""
    said, error = command(does, "export", "東京.jsonl").communicate(timeout=20)
    assert said == f"b'hello' {tmp_path}/東京.jsonl\n", error
    assert (tmp_path / "東京.jsonl").read_bytes() == b"hello"


def test_what_the_system_refuses_is_refused_to_the_command_with_the_reason(command, tmp_path):
    (tmp_path / "there").touch()
    does = """
try:
    caller_file("there").check_new()
except FileExistsError as error:
    print(error.strerror)
try:
    caller_file("nowhere/x").check_new()
except NotADirectoryError as error:
    print(error.strerror)
"""
    said, error = command(does, "there", "--backup=nowhere/x").communicate(timeout=20)
    assert said == f"File exists\n{tmp_path}/nowhere is not a folder\n", error


def test_a_command_that_was_taken_over_gets_no_file_that_is_not_on_its_command_line(command):
    process = command("caller_file('/etc/hostname').open()", "export", "out.jsonl")
    _, error = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ConnectionError" in error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_and_exit_codes_are_passed_on(command, number):
    does = f"""
import signal
signal.signal({int(number)}, lambda *_: sys.exit(42))
print("ready", flush=True)
time.sleep(20)
"""
    process = command(does)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(10) == 42


def test_a_command_that_was_killed_ends_as_in_a_shell(command):
    process = command("os.kill(os.getpid(), 9)")
    assert process.wait(20) == 128 + 9


def test_a_file_that_the_command_did_not_create_is_not_removed(command, tmp_path):
    (tmp_path / "precious").write_text("kept")
    does = """
from recovery.operations.records.operator_file import FileAction
try:
    caller_file("precious")._act(FileAction.REMOVE)
except PermissionError as error:
    print(error.strerror)
"""
    said, error = command(does, "import", "precious").communicate(timeout=20)
    assert "only a file that was created here" in said, error
    assert (tmp_path / "precious").read_text() == "kept"


def test_nonsense_from_one_connection_does_not_end_the_others(command):
    does = """
import contextlib, json, socket
for said in (b"", b"noise", json.dumps("out.jsonl").encode()):
    other = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.connect(chr(0) + address)
    with contextlib.suppress(BrokenPipeError):  # the other side has hung up
        if said:
            other.sendall(said)
            other.sendall(b"noise")
    other.close()
idle = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
idle.connect(chr(0) + address)
caller_file("out.jsonl").check_new()
print("answered")
"""
    said, error = command(does, "export", "out.jsonl").communicate(timeout=20)
    assert said == "answered\n", error


def test_a_command_that_has_no_caller_beside_it_writes_no_file(monkeypatch):
    monkeypatch.setenv("CALLER_FILES", "")
    with pytest.raises(PermissionError, match="must be named on the command line"):
        caller_file("/tmp/all.jsonl")
