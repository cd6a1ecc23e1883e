"""The programs start as modules, each loaded once, and say which of their names are deprecated."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from recovery.cli.main import app as dlq
from recovery.cli.recover_dlq import app as recover_dlq

PROGRAMS = (
    "recovery.cli",
    "recovery.cli.recover_dlq",
    "recovery.cli.replay_retry_index",
    "recovery.cli.reconcile_index",
    "recovery.cli.backfill_index",
    "recovery.cli.reindex_index",
)


def help_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-m", *command, "--help"],
        capture_output=True, text=True, check=True, env={"COLUMNS": "400", "LC_ALL": "C.UTF-8"}, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return " ".join(done.stdout.split())


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_not_imported_before_it_is_run(program):
    assert "Usage" in help_of(program)


@pytest.mark.parametrize(
    ("program", "command", "said"),
    [
        (dlq, (), "`dlq-redrive` is the deprecated name"),
        (dlq, ("list",), "DLQ_URL: deprecated"),
        (dlq, ("list",), "FRONTIER_URL: deprecated"),
        (recover_dlq, (), "Deprecated, has no effect"),
    ],
)
def test_deprecated_names_say_so(program, command, said):
    shown = CliRunner().invoke(program, [*command, "--help"], env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"})
    assert said in " ".join(shown.stdout.split())
