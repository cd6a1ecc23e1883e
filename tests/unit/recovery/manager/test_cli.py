"""`dlq-manager` where the packages of its extra are missing: it says so, and what to do."""

import subprocess
import sys

import pytest

from testing.worker import base_env
from worker.core.base.errors import ExitCode

WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
sys.argv = ["dlq-manager", *sys.argv[2:]]
from recovery.manager.cli import main
main()
"""


@pytest.mark.parametrize(("package", "command"), [("sqlalchemy", "serve"), ("fastapi", "--help")])
def test_without_its_extra_it_says_in_one_sentence_what_to_do_and_exits_with_78(package: str, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, package, command], env=base_env(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (ExitCode.CONFIG, "")
    assert " ".join(done.stderr.split()) == (
        f"configuration: {package} is not installed: dlq-manager needs the extra s3-index-worker[manager] "
        "(`make install MANAGER=1`)"
    )
