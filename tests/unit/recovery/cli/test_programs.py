"""The programs start as modules, each loaded once, and say which of their names are deprecated."""

import subprocess
import sys

import pytest

PROGRAMS = ("recovery.cli", "recovery.cli.recover_dlq", "recovery.cli.replay_retry_index")


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


def test_deprecated_names_say_so():
    assert "`dlq-redrive` is the deprecated name" in help_of("recovery.cli")
    listed = help_of("recovery.cli", "list")
    assert "DLQ_URL: deprecated" in listed
    assert "FRONTIER_URL: deprecated" in listed
    assert "Deprecated, has no effect" in help_of("recovery.cli.recover_dlq")
