"""What is typed wrongly is told with its name, its value, and what would be correct; nothing of typer's or pydantic's."""

import pytest

from recovery.cli.main import main as dlq
from tests.support.in_process import run_in_process
from worker.cli import main
from worker.core.base.errors import ExitCode

DLQ = {"DLQ_QUEUE_URL": "http://127.0.0.1:9/1/dlq", "AWS_REGION": "eu-central-1"}
WRONG = [
    (main, "search --limit x a", "--limit='x': it should be a whole number from 1 to 1,000"),
    (main, "search --limit 0 a", "--limit='0': it should be a whole number from 1 to 1,000"),
    (main, "search --limit 1.5 a", "--limit='1.5': it should be a whole number from 1 to 1,000"),
    (main, "search --limit ２０x a", "--limit='２０x': it should be a whole number from 1 to 1,000"),
    (main, "pause", "--reason is missing: the reason, which is shown to others"),
    (main, "connect-bucket", "BUCKET is missing: the bucket that should notify SQS_QUEUE_URL"),
    (main, "demo /no/such", "FOLDER='/no/such': it should be a folder that exists"),
    (dlq, "list --kind FOO", "--kind='FOO': it should be RECOVERABLE, USER_ERROR, SYSTEM_ERROR or UNKNOWN"),
    (dlq, "list --older-than x", "--older-than='x': it should be a number and s, m, h or d, as in 30m"),
    (dlq, "inspect", "ID is missing: give an id, or its first 6 characters or more"),
    (dlq, "redrive-all --rate x", "--rate='x': it should be a number from 0.1 on"),
    (dlq, "redrive-all --rate \x1b[2J", "--rate='\\x1b[2J': it should be a number from 0.1 on"),
]


@pytest.mark.parametrize(("program", "typed", "says"), WRONG, ids=[typed for _, typed, _ in WRONG])
def test_a_wrong_argument_is_told_with_its_name_its_value_and_what_it_should_be(program, typed, says):
    done = run_in_process(program, DLQ, *typed.split(" "))
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr.splitlines()[-1] == f"Error: {says}"
