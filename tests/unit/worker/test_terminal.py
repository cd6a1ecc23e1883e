"""What all commands share."""

import getpass
import os
import subprocess
import sys

import pytest

from worker.core.base.errors import ExitCode
from worker.terminal import new_app, operator, run_app


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
